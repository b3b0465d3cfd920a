// SPDX-License-Identifier: GPL-2.0

//! What can be switched on, and which tracepoints and functions it takes.

use kernel::{
    cpu::CpuId,
    str::CStr, //
};
use rnet::percpu::CounterSet;

/// Tracepoints and functions, one bit each.
pub(crate) mod at {
    pub(crate) const XMIT: u32 = 1 << 0;
    pub(crate) const NETIF_RX: u32 = 1 << 1;
    pub(crate) const RECEIVE: u32 = 1 << 2;
    pub(crate) const RAISE: u32 = 1 << 3;
    pub(crate) const ENTRY: u32 = 1 << 4;
    pub(crate) const EXIT: u32 = 1 << 5;
    pub(crate) const POLL: u32 = 1 << 6;
    pub(crate) const DROP: u32 = 1 << 7;
    pub(crate) const WAKEUP: u32 = 1 << 8;
    pub(crate) const IPI_SENT: u32 = 1 << 9;
    pub(crate) const IPI_RUN: u32 = 1 << 10;

    // Functions, which have no tracepoint.
    pub(crate) const ENQUEUE: u32 = 1 << 11;
    pub(crate) const IP4: u32 = 1 << 12;
    pub(crate) const IP6: u32 = 1 << 13;
    pub(crate) const TCP4: u32 = 1 << 14;
    pub(crate) const TCP6: u32 = 1 << 15;
    pub(crate) const UDP4: u32 = 1 << 16;
    pub(crate) const UDP6: u32 = 1 << 17;
    pub(crate) const HOOKS: u32 = 1 << 18;
    pub(crate) const UDP_QUEUE: u32 = 1 << 19;
    pub(crate) const TCP_QUEUE: u32 = 1 << 20;
    pub(crate) const OTHER_QUEUE: u32 = 1 << 21;
    pub(crate) const RUN: u32 = 1 << 22;

    const ALL: u32 = (1 << 23) - 1;
    pub(crate) const FUNCTIONS: u32 = ALL & !TRACEPOINTS;
    pub(crate) const TRACEPOINTS: u32 = (1 << 11) - 1;
}

macro_rules! switched {
    (
        $(#[$meta:meta])*
        $name:ident from $first:literal {
            $($(#[$vmeta:meta])* $variant:ident = $text:literal, $needs:expr;)+
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq)]
        pub(crate) enum $name { $($(#[$vmeta])* $variant),+ }

        impl $name {
            pub(crate) const ALL: &'static [Self] = &[$($name::$variant),+];

            /// Its switch.
            #[inline(always)]
            pub(crate) const fn bit(self) -> u32 {
                1 << ($first + self as u32)
            }

            /// The tracepoints that it takes.
            pub(crate) const fn needs(self) -> u32 {
                match self { $($name::$variant => $needs),+ }
            }

            /// The name of its directory.
            pub(crate) const fn name(self) -> &'static CStr {
                match self { $($name::$variant => $text),+ }
            }

            /// All of their switches.
            pub(crate) const MASK: u32 = 0 $(| $name::$variant.bit())+;

            /// Those that take tracepoints only.
            pub(crate) const CHEAP: u32 = 0 $(
                | if $name::$variant.needs() & at::FUNCTIONS == 0 {
                    $name::$variant.bit()
                } else {
                    0
                }
            )+;
        }
    };
}

switched! {
    /// A place that packets come by, in the order in which a packet does.
    Stage from 0 {
        /// A driver is given a packet to send.
        Xmit = c"xmit", at::XMIT;
        /// A packet is handed to the backlog.
        NetifRx = c"netif_rx", at::NETIF_RX;
        /// A CPU wakes the backlog of another, for packets that it has handed over (RPS).
        RpsIpi = c"rps_ipi", at::IPI_SENT;
        /// A packet is put into the backlog of a CPU, or dropped since it is full.
        Enqueue = c"enqueue", at::ENQUEUE;
        /// The receive softirq is asked for.
        SoftirqRaise = c"softirq_raise", at::RAISE;
        /// The receive softirq begins.
        SoftirqEntry = c"softirq_entry", at::ENTRY;
        /// The same, by who runs it.
        SoftirqContext = c"softirq_context", at::ENTRY | at::RUN;
        /// The receive softirq has run.
        SoftirqExit = c"softirq_exit", at::EXIT;
        /// The backlog has been polled.
        PollBacklog = c"poll_backlog", at::POLL;
        /// A device has been polled, in the softirq.
        PollDevice = c"poll_device", at::POLL;
        /// A device has been polled by its own thread.
        PollThreaded = c"poll_threaded", at::POLL;
        /// A packet is handed to the protocols.
        Deliver = c"deliver", at::RECEIVE;
        /// IPv4 or IPv6 receives a packet.
        Ip = c"ip", at::IP4 | at::IP6;
        /// The hooks of netfilter have seen a packet, received or sent.
        Netfilter = c"netfilter", at::HOOKS;
        /// TCP receives a packet.
        Tcp = c"tcp", at::TCP4 | at::TCP6;
        /// UDP receives a packet.
        Udp = c"udp", at::UDP4 | at::UDP6;
        /// A packet is put into the queue of a socket, or dropped because that is full.
        SockQueue = c"sock_queue", at::UDP_QUEUE | at::TCP_QUEUE | at::OTHER_QUEUE;
        /// A socket wakes its reader.
        Wakeup = c"wakeup", at::WAKEUP;
        /// A packet is dropped.
        Drop = c"drop", at::DROP;
    }
}

switched! {
    /// A time that packets or CPUs take between two places.
    Latency from 20 {
        /// From the driver to the protocols, for packets that the driver puts into the backlog.
        Transmit = c"transmit", at::XMIT | at::NETIF_RX | at::RECEIVE;
        /// In the backlog.
        Backlog = c"backlog", at::NETIF_RX | at::RECEIVE;
        /// From raising the receive softirq to its begin.
        Softirq = c"softirq", at::RAISE | at::ENTRY;
        /// A poll, from the begin of the softirq or the end of the poll before.
        Poll = c"poll", at::ENTRY | at::POLL;
        /// From the protocols to the wake-up of a reader, on one CPU within one poll.
        Wakeup = c"wakeup", at::RECEIVE | at::POLL | at::WAKEUP;
        /// From waking another CPU's backlog to that CPU's answer.
        Ipi = c"rps_ipi", at::IPI_SENT | at::IPI_RUN;
    }
}

/// High-water marks of the backlogs are kept.
pub(crate) const MARKS: u32 = 1 << 28;

/// Events are logged, and with the second one functions as well.
pub(crate) const LOG: u32 = 1 << 26;
pub(crate) const LOG_FUNCTIONS: u32 = 1 << 27;

/// The tracepoints and functions that are logged with a set of switches.
pub(crate) const fn logs(switches: u32) -> u32 {
    match (switches & LOG, switches & LOG_FUNCTIONS) {
        (0, _) => 0,
        (_, 0) => at::TRACEPOINTS,
        _ => at::TRACEPOINTS | at::FUNCTIONS,
    }
}

/// The tracepoints and functions that a set of switches takes, besides those that are logged.
pub(crate) fn needs(switches: u32) -> u32 {
    let stages = Stage::ALL
        .iter()
        .filter(|stage| switches & stage.bit() != 0)
        .fold(0, |needs, stage| needs | stage.needs());
    let marks = if switches & MARKS == 0 {
        0
    } else {
        at::RECEIVE | at::POLL
    };
    Latency::ALL
        .iter()
        .filter(|latency| switches & latency.bit() != 0)
        .fold(stages | marks, |needs, latency| needs | latency.needs())
}

rnet::counters! {
    /// What is counted at the stages.
    #[derive(PartialEq, Eq)]
    pub(crate) enum Count {
        Xmit,
        NetifRx,
        RpsIpi,
        Enqueue,
        SoftirqRaise,
        SoftirqEntry,
        SoftirqContext,
        SoftirqExit,
        PollBacklog,
        PollDevice,
        PollThreaded,
        Deliver,
        Ip,
        Netfilter,
        Tcp,
        Udp,
        SockQueue,
        Wakeup,
        Drop,
        /// Entries in ksoftirqd.
        Ksoftirqd,
        WorkBacklog,
        WorkDevice,
        WorkThreaded,
        /// Polls that used their budget up.
        FullBacklog,
        FullDevice,
        FullThreaded,
        /// Of those that were received, over IPv6.
        IpV6,
        TcpV6,
        UdpV6,
        /// Of those that the hooks have seen.
        HooksDrop,
        HooksStolen,
        /// Of the softirqs, by who runs them.
        FromIrqExit,
        FromDoSoftirq,
        FromKsoftirqd,
        /// Of those for sockets.
        QueueUdp,
        QueueTcp,
    }
}

/// The counters of one stage: the main one and what it has besides.
pub(crate) struct Counts {
    pub(crate) count: Count,
    /// With their names in the snapshot.
    pub(crate) others: &'static [(&'static str, Count)],
}

impl Stage {
    pub(crate) const fn counts(self) -> Counts {
        let (count, others): (Count, &[(&str, Count)]) = match self {
            Stage::Xmit => (Count::Xmit, &[]),
            Stage::NetifRx => (Count::NetifRx, &[]),
            Stage::RpsIpi => (Count::RpsIpi, &[]),
            Stage::SoftirqRaise => (Count::SoftirqRaise, &[]),
            Stage::SoftirqEntry => (Count::SoftirqEntry, &[("ksoftirqd", Count::Ksoftirqd)]),
            Stage::SoftirqContext => (
                Count::SoftirqContext,
                &[
                    ("irq_exit", Count::FromIrqExit),
                    ("do_softirq", Count::FromDoSoftirq),
                    ("ksoftirqd", Count::FromKsoftirqd),
                ],
            ),
            Stage::SoftirqExit => (Count::SoftirqExit, &[]),
            Stage::PollBacklog => (
                Count::PollBacklog,
                &[("work", Count::WorkBacklog), ("full", Count::FullBacklog)],
            ),
            Stage::PollDevice => (
                Count::PollDevice,
                &[("work", Count::WorkDevice), ("full", Count::FullDevice)],
            ),
            Stage::PollThreaded => (
                Count::PollThreaded,
                &[("work", Count::WorkThreaded), ("full", Count::FullThreaded)],
            ),
            Stage::Deliver => (Count::Deliver, &[]),
            Stage::Enqueue => (Count::Enqueue, &[]),
            Stage::Ip => (Count::Ip, &[("v6", Count::IpV6)]),
            Stage::Netfilter => (
                Count::Netfilter,
                &[("drop", Count::HooksDrop), ("stolen", Count::HooksStolen)],
            ),
            Stage::Tcp => (Count::Tcp, &[("v6", Count::TcpV6)]),
            Stage::Udp => (Count::Udp, &[("v6", Count::UdpV6)]),
            Stage::SockQueue => (
                Count::SockQueue,
                &[("udp", Count::QueueUdp), ("tcp", Count::QueueTcp)],
            ),
            Stage::Wakeup => (Count::Wakeup, &[]),
            Stage::Drop => (Count::Drop, &[]),
        };
        Counts { count, others }
    }

    /// One of the others, by its place.
    pub(crate) fn other(self, place: usize) -> Option<Count> {
        self.counts().others.get(place).map(|(_, count)| *count)
    }
}

/// A CPU that another one wakes: those from 1023 on are one.
#[derive(Clone, Copy)]
pub(crate) struct Target(usize);

impl Target {
    const LAST: usize = 1023;

    #[inline(always)]
    pub(crate) fn of(cpu: CpuId) -> Self {
        let cpu = cpu.as_u32() as usize;
        Self(if cpu < Self::LAST { cpu } else { Self::LAST })
    }
}

impl CounterSet for Target {
    const LEN: usize = Self::LAST + 1;

    #[inline(always)]
    fn index(self) -> usize {
        self.0
    }
}
