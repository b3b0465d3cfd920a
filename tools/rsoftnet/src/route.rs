// SPDX-License-Identifier: GPL-2.0

//! Which events belong to a packet, in their order.

use std::collections::{
    BTreeSet,
    HashMap, //
};

use serde::Serialize;

use crate::events::{
    Event,
    Log, //
};

/// What a step is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Who {
    /// The program that sends and receives.
    Program,
    /// The packet that was sent.
    Packet,
    /// The answer of the other host.
    Answer,
    /// The socket that is to receive it.
    Socket,
    /// A CPU, whichever packets it works for.
    Cpu,
}

/// One step of the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Nanoseconds since the first step.
    pub ns: u64,
    /// The same since the step before.
    pub more_ns: u64,
    /// Where it happened; not known of the program.
    pub cpu: Option<u32>,
    /// The name of the stage, or of the program's call.
    pub stage: String,
    /// What it is about.
    pub who: Who,
    /// The device.
    pub device: Option<String>,
    /// In words.
    pub text: String,
}

/// What is looked for.
pub struct Wanted<'a> {
    /// The packet's mark.
    pub mark: u32,
    /// The number of the receiving socket.
    pub cookie: u64,
    /// Length and protocol of an answer.
    pub answer: Option<(u64, u64)>,
    /// When the program called the kernel, and when it had what was to come.
    pub called_ns: u64,
    /// The latter.
    pub received_ns: Option<u64>,
    /// Names of devices by their numbers.
    pub devices: &'a HashMap<u64, String>,
}

impl Wanted<'_> {
    fn is_packet(&self, event: &Event) -> bool {
        event.number("mark") == Some(self.mark.into())
    }

    fn is_socket(&self, event: &Event) -> bool {
        event.number("socket") == Some(self.cookie)
    }

    /// The number of the packet that is the answer: it comes in where the packet has left, if one
    /// does. Where both hosts are this one, as in a VM with two ports, other devices see the question.
    fn answer_number(&self, events: &[Event]) -> Option<u64> {
        let (len, protocol) = self.answer?;
        let since = || events.iter().filter(|e| e.time_ns >= self.called_ns);
        let left_by = since()
            .find(|e| e.what == "xmit" && self.is_packet(e))
            .and_then(|e| e.number("dev"));
        let alike = || {
            since().filter(|e| {
                e.what == "deliver"
                    && e.number("len") == Some(len)
                    && e.number("protocol") == Some(protocol)
                    && !self.is_packet(e)
            })
        };
        alike()
            .find(|e| e.number("dev") == left_by)
            .or_else(|| alike().next())?
            .number("packet")
    }

    /// The events of the way, each with what it is about.
    fn choose<'e>(&self, events: &'e [Event]) -> Vec<(&'e Event, Who)> {
        let from = self.called_ns;
        let meanwhile = || events.iter().filter(move |event| event.time_ns >= from);
        let answer = self.answer_number(events);
        // A number is somebody else's again after the socket has been woken for it.
        let woken = meanwhile()
            .rev()
            .find(|e| e.what == "wakeup" && self.is_socket(e));
        let last_own = meanwhile().rev().find(|e| self.is_packet(e));
        let end = woken.or(last_own).map_or(0, |event| event.time_ns);
        let owner = |event: &Event| {
            let is_answer = answer.is_some()
                && event.number("packet") == answer
                && event
                    .number("len")
                    .is_some_and(|len| Some(len) <= self.answer.map(|a| a.0))
                && event.time_ns <= end;
            if self.is_packet(event) {
                Some(Who::Packet)
            } else if is_answer {
                Some(Who::Answer)
            } else if self.is_socket(event) {
                Some(Who::Socket)
            } else {
                None
            }
        };
        let cpus: BTreeSet<_> = meanwhile()
            .filter(|event| owner(event).is_some())
            .map(|event| event.cpu)
            .collect();
        let delivered = meanwhile()
            .rev()
            .find(|e| e.what == "deliver" && owner(e).is_some());
        // The poll and the softirq that it was delivered in end after it.
        let after = |names: &str, from: &Event| {
            meanwhile().find(|e| {
                e.cpu == from.cpu && e.time_ns >= from.time_ns && e.what.starts_with(names)
            })
        };
        let polled = delivered.and_then(|event| after("poll_", event));
        let left = polled.and_then(|event| after("softirq_exit", event));
        meanwhile()
            .filter_map(|event| {
                let is_end = [polled, left]
                    .iter()
                    .flatten()
                    .any(|e| std::ptr::eq(*e, event));
                let by_cpu = event.number("packet").is_none() && event.word("socket").is_none();
                let in_time = event.time_ns <= end && cpus.contains(&event.cpu);
                match owner(event) {
                    Some(who) => Some((event, who)),
                    None if by_cpu && (in_time || is_end) => Some((event, Who::Cpu)),
                    None => None,
                }
            })
            .collect()
    }

    fn device(&self, event: &Event) -> Option<String> {
        let number = event.number("dev").filter(|number| *number != 0)?;
        let name = self.devices.get(&number).cloned();
        Some(name.unwrap_or_else(|| format!("device {number}")))
    }

    /// The way, from the program to the program.
    pub fn steps(&self, log: &Log) -> Vec<Step> {
        let program = |time_ns, stage: &str, text: &str| {
            let step = Step {
                ns: 0,
                more_ns: 0,
                cpu: None,
                stage: stage.to_owned(),
                who: Who::Program,
                device: None,
                text: text.to_owned(),
            };
            (time_ns, step)
        };
        let mut steps = vec![program(self.called_ns, "send()", "the program sends it")];
        for (event, who) in self.choose(&log.events) {
            let device = self.device(event);
            let step = Step {
                ns: 0,
                more_ns: 0,
                cpu: Some(event.cpu),
                stage: event.what.clone(),
                who,
                text: in_words(event, who, device.as_deref()),
                device,
            };
            steps.push((event.time_ns, step));
        }
        if let Some(time) = self.received_ns {
            steps.push(program(time, "recv()", "the program has it"));
        }
        steps.sort_by_key(|(time, _)| *time);
        let mut before = self.called_ns;
        steps
            .into_iter()
            .map(|(time, mut step)| {
                step.ns = time.saturating_sub(self.called_ns);
                step.more_ns = time.saturating_sub(before);
                before = time;
                step
            })
            .collect()
    }
}

fn in_words(event: &Event, who: Who, device: Option<&str>) -> String {
    let device = device.unwrap_or("?");
    let number = |name| event.number(name).unwrap_or(0);
    let target = event.word("target").unwrap_or("?").replace("cpu", "CPU ");
    let it = if who == Who::Answer {
        "the answer"
    } else {
        "it"
    };
    match event.what.as_str() {
        "xmit" => format!("{device} is given {it}, {} bytes", number("len")),
        "netif_rx" => format!("{it} is handed to the backlog"),
        "enqueue" => format!("{it} is put into the backlog of {target}"),
        "rps_ipi" => format!("the backlog of {target} is woken"),
        "rps_answer" => "the CPU has been woken".to_owned(),
        "softirq_raise" => "the receive softirq is asked for".to_owned(),
        "softirq_entry" => {
            let why = match event.word("context") {
                Some("irq_exit") => ": an interrupt ends",
                Some("do_softirq") => ": bottom halves are enabled again",
                Some("ksoftirqd") => ": in ksoftirqd",
                _ => "",
            };
            format!("the receive softirq begins{why}")
        }
        "softirq_exit" => "the receive softirq has run".to_owned(),
        "poll_backlog" => format!("the backlog has been polled: {} packets", number("work")),
        "poll_device" | "poll_threaded" => {
            format!("{device} has been polled: {} packets", number("work"))
        }
        "deliver" => format!("{it} is handed to the protocols, {} bytes", number("len")),
        "ip" => format!("IP receives {it}"),
        "netfilter" => format!("netfilter: {}", event.word("verdict").unwrap_or("?")),
        "tcp" | "udp" => format!("{} receives {it}", event.what.to_uppercase()),
        "sock_queue" => format!("{it} is put into the queue of the socket"),
        "wakeup" => "the reader is woken".to_owned(),
        "drop" => format!("{it} is dropped: {}", event.word("reason").unwrap_or("?")),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(text: &str, wanted: &Wanted<'_>) -> Vec<(String, Who)> {
        let log: Log = format!("rsoftnet-log 1\nlost 0\n{text}end\n")
            .parse()
            .unwrap();
        let steps = wanted.steps(&log);
        assert!(steps.windows(2).all(|pair| pair[0].ns <= pair[1].ns));
        steps
            .into_iter()
            .map(|step| (step.stage, step.who))
            .collect()
    }

    fn names(way: &[(String, Who)], of: Who) -> Vec<&str> {
        way.iter()
            .filter(|(_, who)| *who == of)
            .map(|(stage, _)| stage.as_str())
            .collect()
    }

    #[test]
    fn through_the_loopback() {
        let devices = HashMap::from([(1, "lo".to_owned())]);
        let wanted = Wanted {
            mark: 7,
            cookie: 5,
            answer: None,
            called_ns: 100,
            received_ns: Some(200),
            devices: &devices,
        };
        // Another packet before, in between and after; a poll that is somebody else's.
        let text = "event 90 cpu0 xmit packet 1 dev 1 len 50 protocol 2048 mark 0\n\
            event 110 cpu0 xmit packet 2 dev 1 len 106 protocol 2048 mark 7\n\
            event 111 cpu0 netif_rx packet 2 dev 1 len 92 protocol 2048 mark 7\n\
            event 112 cpu0 softirq_raise\n\
            event 113 cpu1 poll_backlog dev 0 work 1 budget 64\n\
            event 114 cpu0 softirq_entry context do_softirq\n\
            event 115 cpu0 deliver packet 1 dev 1 len 36 protocol 2048 mark 0\n\
            event 116 cpu0 deliver packet 2 dev 1 len 92 protocol 2048 mark 7\n\
            event 117 cpu0 wakeup socket 9\n\
            event 118 cpu0 wakeup socket 5\n\
            event 119 cpu0 poll_backlog dev 0 work 2 budget 64\n\
            event 120 cpu0 softirq_exit\n\
            event 121 cpu0 softirq_raise\n\
            event 122 cpu0 xmit packet 2 dev 1 len 50 protocol 2048 mark 0\n";
        let seen = way(text, &wanted);
        assert_eq!(names(&seen, Who::Packet), ["xmit", "netif_rx", "deliver"]);
        assert_eq!(names(&seen, Who::Socket), ["wakeup"]);
        assert_eq!(names(&seen, Who::Program), ["send()", "recv()"]);
        let cpu = [
            "softirq_raise",
            "softirq_entry",
            "poll_backlog",
            "softirq_exit",
        ];
        assert_eq!(names(&seen, Who::Cpu), cpu);
    }

    #[test]
    fn to_another_host() {
        let devices = HashMap::from([(3, "eth0".to_owned())]);
        let wanted = Wanted {
            mark: 7,
            cookie: 5,
            answer: Some((92, 2048)),
            called_ns: 100,
            received_ns: Some(300),
            devices: &devices,
        };
        let text = "event 110 cpu0 xmit packet 1 dev 3 len 106 protocol 2048 mark 7\n\
            event 150 cpu1 softirq_raise\n\
            event 151 cpu1 softirq_entry context irq_exit\n\
            event 152 cpu1 deliver packet 2 dev 3 len 40 protocol 2048 mark 0\n\
            event 152 cpu1 deliver packet 4 dev 5 len 92 protocol 2048 mark 0\n\
            event 153 cpu1 deliver packet 3 dev 3 len 92 protocol 2048 mark 0\n\
            event 154 cpu1 ip packet 3 dev 3 len 92 protocol 2048 mark 0\n\
            event 155 cpu1 wakeup socket 5\n\
            event 156 cpu1 poll_device dev 3 work 2 budget 64\n\
            event 157 cpu1 softirq_exit\n\
            event 158 cpu1 deliver packet 3 dev 3 len 92 protocol 2048 mark 0\n";
        let seen = way(text, &wanted);
        assert_eq!(names(&seen, Who::Packet), ["xmit"]);
        assert_eq!(names(&seen, Who::Answer), ["deliver", "ip"]);
        assert_eq!(names(&seen, Who::Socket), ["wakeup"]);
        assert_eq!(names(&seen, Who::Cpu)[2..], ["poll_device", "softirq_exit"]);
    }

    #[test]
    fn dropped_and_lost() {
        let devices = HashMap::new();
        let wanted = Wanted {
            mark: 7,
            cookie: 5,
            answer: None,
            called_ns: 100,
            received_ns: None,
            devices: &devices,
        };
        let text = "event 110 cpu0 xmit packet 1 dev 1 len 106 protocol 2048 mark 7\n\
            event 116 cpu0 drop packet 1 dev 0 len 92 protocol 2048 mark 7 reason NO_SOCKET\n";
        let seen = way(text, &wanted);
        assert_eq!(names(&seen, Who::Packet), ["xmit", "drop"]);
        assert_eq!(names(&way("", &wanted), Who::Program), ["send()"]);
    }
}
