// SPDX-License-Identifier: GPL-2.0

//! The live view: what is shown, and the keys.

use std::{
    sync::atomic::Ordering,
    time::{
        Duration,
        Instant, //
    },
};

use anyhow::{
    Context,
    Result, //
};
use ratatui::{
    crossterm::event::{
        self,
        Event,
        KeyCode,
        KeyEvent,
        KeyEventKind,
        KeyModifiers, //
    },
    DefaultTerminal, //
};

use crate::{
    draw,
    rates::Rates,
    snapshot::Snapshot,
    tree::Tree,
    Ended, //
};

/// What the view shows.
pub struct View {
    /// The last interval; nothing before the first is over.
    pub rates: Option<Rates>,
    /// Which latency has its histogram shown.
    pub latency: usize,
    /// Whether numbers stand still.
    pub paused: bool,
}

impl View {
    /// Before the first interval.
    pub fn new() -> Self {
        Self {
            rates: None,
            latency: 0,
            paused: false,
        }
    }

    fn latencies(&self) -> usize {
        self.rates.as_ref().map_or(1, |r| r.latencies.len().max(1))
    }

    /// What a key does. False for one that ends the program.
    fn key(&mut self, key: KeyEvent, tree: &Tree) -> Result<bool> {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => return Ok(false),
            KeyCode::Char('c') if control => return Ok(false),
            KeyCode::Char('p') | KeyCode::Char(' ') => self.paused = !self.paused,
            KeyCode::Char('r') => tree.write("reset", "1").context("reset")?,
            KeyCode::Right | KeyCode::Down | KeyCode::Tab => {
                self.latency = (self.latency + 1) % self.latencies();
            }
            KeyCode::Left | KeyCode::Up | KeyCode::BackTab => {
                let all = self.latencies();
                self.latency = (self.latency + all - 1) % all;
            }
            _ => {}
        }
        Ok(true)
    }
}

/// Looks once in each interval.
struct Looks<'t> {
    tree: &'t Tree,
    interval: Duration,
    next: Instant,
    before: Snapshot,
    left: u64,
}

impl Looks<'_> {
    /// Whether it was the last one.
    fn look(&mut self, view: &mut View) -> Result<bool> {
        if Instant::now() < self.next {
            return Ok(false);
        }
        let now = self.tree.snapshot()?;
        if !view.paused {
            view.rates = Some(Rates::between(&self.before, &now));
        }
        self.before = now;
        self.next = Instant::now() + self.interval;
        self.left -= 1;
        Ok(self.left == 0)
    }
}

fn live(terminal: &mut DefaultTerminal, mut looks: Looks<'_>, ended: &Ended) -> Result<()> {
    let mut view = View::new();
    while !ended.load(Ordering::Relaxed) {
        terminal.draw(|frame| draw::draw(frame, &view))?;
        if looks.look(&mut view)? {
            break;
        }
        let wait = looks.next.saturating_duration_since(Instant::now());
        if event::poll(wait.min(Duration::from_millis(100)))? {
            if let Event::Key(key) = event::read()? {
                if key.kind == KeyEventKind::Press && !view.key(key, looks.tree)? {
                    break;
                }
            }
        }
    }
    Ok(())
}

/// Shows until a key or a signal ends it, or it has looked often enough. The terminal is as before
/// then, also after an error.
pub fn run(tree: &Tree, interval: Duration, count: Option<u64>, ended: &Ended) -> Result<()> {
    let looks = Looks {
        tree,
        interval,
        next: Instant::now() + interval,
        before: tree.snapshot()?,
        left: count.unwrap_or(u64::MAX).max(1),
    };
    let mut terminal = ratatui::try_init().context("the terminal")?;
    let result = live(&mut terminal, looks, ended);
    ratatui::restore();
    result
}
