// SPDX-License-Identifier: GPL-2.0

//! How the live view looks.

use ratatui::{
    layout::{
        Constraint,
        Layout, //
    },
    style::{
        Color,
        Style,
        Stylize, //
    },
    text::Line,
    widgets::{
        Bar,
        BarChart,
        BarGroup,
        Block,
        Paragraph,
        Row,
        Table, //
    },
    Frame,
};

use crate::{
    app::View,
    rates::{
        percentile,
        LatencyRate,
        Rates, //
    },
};

/// With the letter of its size: at most five characters.
fn short(value: f64) -> String {
    match value {
        v if v >= 1e9 => format!("{:.1}G", v / 1e9),
        v if v >= 1e6 => format!("{:.1}M", v / 1e6),
        v if v >= 1e4 => format!("{:.0}k", v / 1e3),
        v => format!("{v:.0}"),
    }
}

/// Nanoseconds with a unit.
fn time(ns: u64) -> String {
    match ns {
        0..=9_999 => format!("{ns} ns"),
        10_000..=9_999_999 => format!("{} us", ns / 1_000),
        10_000_000..=9_999_999_999 => format!("{} ms", ns / 1_000_000),
        _ => format!("{} s", ns / 1_000_000_000),
    }
}

fn stages(rates: &Rates) -> Table<'_> {
    let names = (0..rates.cpus()).map(|cpu| format!("cpu{cpu}"));
    let head = ["stage".to_owned(), "a second".to_owned()];
    let header = Row::new(head.into_iter().chain(names).chain(["besides".to_owned()])).bold();
    let rows = rates.stages.iter().map(|stage| {
        let mut cells = vec![stage.name.clone()];
        if stage.enabled {
            cells.push(short(stage.per_second));
            cells.extend((0..rates.cpus()).map(|cpu| short(rates.per_second(stage, cpu))));
        } else {
            cells.push("off".to_owned());
            cells.extend((0..rates.cpus()).map(|_| String::new()));
        }
        let besides = stage
            .all
            .iter()
            .filter(|(name, n)| *name != "count" && **n != 0);
        let besides: Vec<_> = besides.map(|(name, n)| format!("{name} {n}")).collect();
        cells.push(besides.join(", "));
        let is_bad = stage.name == "drop" && stage.all.get("count").is_some_and(|n| *n != 0);
        Row::new(cells).style(match (stage.enabled, is_bad) {
            (_, true) => Style::new().fg(Color::Red),
            (false, _) => Style::new().dim(),
            _ => Style::new(),
        })
    });
    let mut widths = vec![Constraint::Length(16), Constraint::Length(9)];
    widths.extend((0..rates.cpus()).map(|_| Constraint::Length(7)));
    widths.push(Constraint::Min(10));
    Table::new(rows, widths)
        .header(header)
        .block(Block::bordered().title(" stages "))
}

fn latencies(rates: &Rates, chosen: usize) -> Table<'_> {
    let header = Row::new(["latency", "count", "mean", "50 %", "99 %", "max"]).bold();
    let rows = rates.latencies.iter().enumerate().map(|(place, latency)| {
        let times = &latency.all;
        let cells = if latency.enabled {
            [
                latency.name.clone(),
                times.count.to_string(),
                time(times.sum_ns.checked_div(times.count).unwrap_or(0)),
                time(percentile(times, 50)),
                time(percentile(times, 99)),
                time(times.max_ns),
            ]
        } else {
            let nothing = String::new;
            [
                latency.name.clone(),
                "off".to_owned(),
                nothing(),
                nothing(),
                nothing(),
                nothing(),
            ]
        };
        Row::new(cells).style(if place == chosen {
            Style::new().reversed()
        } else {
            Style::new()
        })
    });
    let widths = [10, 8, 9, 9, 9, 9].map(Constraint::Length);
    Table::new(rows, widths)
        .header(header)
        .block(Block::bordered().title(" latencies "))
}

fn histogram(latency: &LatencyRate) -> BarChart<'_> {
    let buckets = &latency.all.log2_ns;
    let first = buckets.iter().position(|n| *n != 0).unwrap_or(0);
    let last = buckets.iter().rposition(|n| *n != 0).unwrap_or(0);
    let bars: Vec<_> = (first..=last)
        .filter_map(|bits| {
            let count = *buckets.get(bits)?;
            let end = 1u64.checked_shl(bits as u32).unwrap_or(u64::MAX);
            let bar = Bar::default()
                .value(count)
                .label(Line::from(format!("<{}", time(end))))
                .text_value(short(count as f64));
            Some(bar)
        })
        .collect();
    BarChart::default()
        .data(BarGroup::default().bars(&bars))
        .bar_width(7)
        .bar_gap(1)
        .block(Block::bordered().title(format!(" {}: how many, by time ", latency.name)))
}

fn backlogs(rates: &Rates) -> Paragraph<'_> {
    let mut lines = Vec::new();
    for (cpu, row) in rates.backlog.iter().enumerate() {
        let of = |name: &str| row.get(name).copied().unwrap_or(0);
        lines.push(Line::from(format!(
            "cpu{cpu}: {} + {} queued, at most {} + {}; {} dropped, {} squeezed",
            of("input_qlen"),
            of("process_qlen"),
            of("input_high"),
            of("process_high"),
            of("dropped"),
            of("time_squeeze")
        )));
    }
    for (name, count) in &rates.reasons {
        lines.push(Line::from(format!("dropped {count}: {name}")).red());
    }
    Paragraph::new(lines).block(Block::bordered().title(" backlogs and drops "))
}

/// Draws it all.
pub fn draw(frame: &mut Frame<'_>, view: &View) {
    let [head, body] =
        Layout::vertical([Constraint::Length(1), Constraint::Min(1)]).areas(frame.area());
    let keys = "q ends, r resets, p pauses, arrows choose a latency";
    let Some(rates) = &view.rates else {
        frame.render_widget(Line::from(format!("rsoftnet: {keys}")).bold(), head);
        return;
    };
    let mut title = format!("rsoftnet: {:.2} s; {keys}", rates.interval_ns as f64 / 1e9);
    for (which, to) in &rates.filters {
        title += &format!("; only {which} {to}");
    }
    if view.paused {
        title += "; PAUSED";
    }
    frame.render_widget(Line::from(title).bold(), head);

    let high = |rows: usize| Constraint::Length(u16::try_from(rows + 3).unwrap_or(u16::MAX));
    let lines = rates.cpus() + rates.reasons.len();
    let [top, middle, bottom] = Layout::vertical([
        high(rates.stages.len()),
        high(rates.latencies.len().max(lines)),
        Constraint::Min(6),
    ])
    .areas::<3>(body);
    let [left, right] =
        Layout::horizontal([Constraint::Length(62), Constraint::Min(20)]).areas::<2>(middle);
    frame.render_widget(stages(rates), top);
    frame.render_widget(latencies(rates, view.latency), left);
    frame.render_widget(backlogs(rates), right);
    if let Some(latency) = rates.latencies.get(view.latency) {
        frame.render_widget(histogram(latency), bottom);
    }
}

#[cfg(test)]
mod tests {
    use ratatui::{
        backend::TestBackend,
        Terminal, //
    };

    use super::*;
    use crate::snapshot::Snapshot;

    fn screen(view: &View, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, view)).unwrap();
        terminal.backend().to_string()
    }

    #[test]
    fn shows_rates() {
        let text = |time: u64, count: u64| -> Snapshot {
            format!(
                "rsoftnet 1\ntime_ns {time}\nbacklog cpu0 online 1 input_high 7\n\
                 stage xmit all enable 1 count {count}\nstage xmit cpu0 enable 1 count {count}\n\
                 stage ip all enable 0 count 0\nstage ip cpu0 enable 0 count 0\n\
                 reason NO_SOCKET {count}\n\
                 latency poll all enable 1 count {count} sum_ns {count} max_ns 3 log2_ns 0 0 {count}\n\
                 end\n"
            )
            .parse()
            .unwrap()
        };
        let mut view = View::new();
        assert!(screen(&view, 80, 24).contains("q ends"));
        view.rates = Some(Rates::between(&text(0, 0), &text(1_000_000_000, 1234)));
        let seen = screen(&view, 120, 40);
        for part in [
            "xmit",
            "1234",
            "off",
            "dropped 1234: NO_SOCKET",
            "at most 7",
            "poll",
        ] {
            assert!(seen.contains(part), "{part} is not in\n{seen}");
        }
        // However small the terminal is.
        for size in [(1, 1), (20, 5), (80, 24)] {
            screen(&view, size.0, size.1);
        }
    }

    #[test]
    fn units() {
        assert_eq!(short(999.4), "999");
        assert_eq!(short(123_456.0), "123k");
        assert_eq!(time(12_345), "12 us");
    }
}
