// SPDX-License-Identifier: GPL-2.0

//! What happens where, one event after the other: for looking at single packets.

use kernel::sync::Arc;
use rnet::{
    prelude::*,
    trace::{
        events::{
            self,
            Dropped,
            OnDevice,
            Polled,
            RemoteCall, //
        },
        functions,
        Enqueued,
        EventLog,
        FnProbe,
        PacketRef,
        Probe,
        ProbeCx,
        SocketRef,
        SoftirqFrom,
        Verdict, //
    },
};

use crate::{
    core::{
        Cell,
        Core, //
    },
    filter::NETNS,
    function_probes::{
        from,
        number_of, //
    },
};

/// `1 << EVENTS` events are kept.
const EVENTS: u32 = 12;

macro_rules! what {
    ($($variant:ident = $name:literal,)+) => {
        /// Where it is.
        #[derive(Clone, Copy, PartialEq, Eq)]
        pub(crate) enum What { $($variant),+ }

        impl What {
            const ALL: &'static [What] = &[$(What::$variant),+];

            /// Its name: that of a stage, as far as there is one.
            pub(crate) fn name(self) -> &'static str {
                match self { $(What::$variant => $name),+ }
            }
        }
    };
}

what! {
    Xmit = "xmit",
    NetifRx = "netif_rx",
    RpsIpi = "rps_ipi",
    RpsAnswer = "rps_answer",
    Enqueue = "enqueue",
    SoftirqRaise = "softirq_raise",
    SoftirqEntry = "softirq_entry",
    SoftirqExit = "softirq_exit",
    PollBacklog = "poll_backlog",
    PollDevice = "poll_device",
    PollThreaded = "poll_threaded",
    Deliver = "deliver",
    Ip = "ip",
    Netfilter = "netfilter",
    Tcp = "tcp",
    Udp = "udp",
    SockQueue = "sock_queue",
    Wakeup = "wakeup",
    Drop = "drop",
}

impl What {
    /// Of its number.
    fn of(number: u64) -> Option<Self> {
        Self::ALL.get(usize::try_from(number).ok()?).copied()
    }
}

/// One event, as it is kept and as it is shown. What is not known is 0.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) time: u64,
    pub(crate) cpu: u32,
    pub(crate) what: What,
    /// The packet, or the cookie of the socket.
    pub(crate) who: u64,
    pub(crate) ifindex: u32,
    pub(crate) len: u32,
    pub(crate) mark: u32,
    pub(crate) protocol: u16,
    /// What there is to say besides: a reason, a CPU, a kind of context, packets and budget.
    pub(crate) more: u64,
}

/// Two numbers in one word.
fn pair(high: u32, low: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

impl Entry {
    fn pack(&self) -> [u64; 6] {
        [
            self.time,
            pair(self.cpu, self.what as u32),
            self.who,
            pair(self.ifindex, self.len),
            pair(self.mark, self.protocol.into()),
            self.more,
        ]
    }

    /// `None` for what was not packed.
    pub(crate) fn unpack(words: [u64; 6]) -> Option<Self> {
        let [time, place, who, size, looks, more] = words;
        Some(Self {
            time,
            cpu: (place >> 32) as u32,
            what: What::of(place & 0xffff_ffff)?,
            who,
            ifindex: (size >> 32) as u32,
            len: size as u32,
            mark: (looks >> 32) as u32,
            protocol: looks as u16,
            more,
        })
    }

    fn new(what: What, cx: &ProbeCx<'_>) -> Self {
        Self {
            time: cx.now(),
            cpu: cx.cpu().as_u32(),
            what,
            who: 0,
            ifindex: 0,
            len: 0,
            mark: 0,
            protocol: 0,
            more: 0,
        }
    }

    fn packet(mut self, packet: &PacketRef<'_>) -> Self {
        self.who = packet.id().to_cell();
        self.len = packet.len();
        self.mark = packet.mark();
        self.protocol = packet.protocol();
        self
    }

    fn device(mut self, dev: &Device) -> Self {
        self.ifindex = dev.ifindex().unsigned_abs();
        self
    }

    fn more(mut self, more: u64) -> Self {
        self.more = more;
        self
    }
}

/// Writes down what happens. A probe of its own, so that it costs nothing while nobody wants it.
pub(crate) struct Logger {
    core: Arc<Core>,
    pub(crate) log: EventLog<6>,
}

impl Logger {
    pub(crate) fn new(core: Arc<Core>) -> Result<Self> {
        Ok(Self {
            core,
            log: EventLog::new(EVENTS)?,
        })
    }

    fn add(&self, entry: Entry, cx: &ProbeCx<'_>) {
        self.log.push(entry.pack(), cx);
    }

    fn on_device(&self, what: What, args: &OnDevice<'_>, more: u64, cx: &ProbeCx<'_>) {
        if self.core.passes(args) {
            let entry = Entry::new(what, cx).packet(&args.packet).device(args.dev);
            self.add(entry.more(more), cx);
        }
    }

    fn of_socket(&self, what: What, socket: &SocketRef<'_>, cx: &ProbeCx<'_>) {
        if NETNS.passes_with(|| socket.net_id()) {
            let mut entry = Entry::new(what, cx);
            entry.who = socket.cookie();
            self.add(entry, cx);
        }
    }

    fn softirq(&self, what: What, vec: u32, more: u64, cx: &ProbeCx<'_>) {
        if vec == events::NET_RX {
            self.add(Entry::new(what, cx).more(more), cx);
        }
    }

    fn remote(&self, what: What, call: &RemoteCall, cx: &ProbeCx<'_>) {
        if call.is_backlog {
            self.add(Entry::new(what, cx).more(call.target.as_u32().into()), cx);
        }
    }
}

macro_rules! packets {
    (
        events { $($event:ident: $what:ident;)+ }
        functions { $($function:ident: $called:ident;)+ }
    ) => {
        $(
            impl Probe<events::$event> for Logger {
                fn hit(&self, args: OnDevice<'_>, cx: &ProbeCx<'_>) {
                    self.on_device(What::$what, &args, 0, cx);
                }
            }
        )+
        $(
            impl FnProbe<functions::$function> for Logger {
                fn hit(&self, args: OnDevice<'_>, cx: &ProbeCx<'_>) {
                    self.on_device(What::$called, &args, 0, cx);
                }
            }
        )+
    };
}

packets! {
    events {
        NetDevStartXmit: Xmit;
        NetifRx: NetifRx;
        NetifReceiveSkb: Deliver;
    }
    functions {
        IpRcv: Ip;
        Ip6Rcv: Ip;
        TcpV4Rcv: Tcp;
        TcpV6Rcv: Tcp;
        UdpRcv: Udp;
        UdpV6Rcv: Udp;
    }
}

impl FnProbe<functions::EnqueueToBacklog> for Logger {
    fn hit(&self, args: Enqueued<'_>, cx: &ProbeCx<'_>) {
        self.on_device(What::Enqueue, &args.on, args.target.as_u32().into(), cx);
    }
}

impl Probe<events::SoftirqRaise> for Logger {
    fn hit(&self, vec: u32, cx: &ProbeCx<'_>) {
        self.softirq(What::SoftirqRaise, vec, 0, cx);
    }
}

impl Probe<events::SoftirqEntry> for Logger {
    fn hit(&self, vec: u32, cx: &ProbeCx<'_>) {
        let context = if cx.in_ksoftirqd() {
            from::KSOFTIRQD
        } else {
            self.core.cells.get(Cell::LogFrom, cx)
        };
        self.softirq(What::SoftirqEntry, vec, context, cx);
    }
}

impl Probe<events::SoftirqExit> for Logger {
    fn hit(&self, vec: u32, cx: &ProbeCx<'_>) {
        self.softirq(What::SoftirqExit, vec, 0, cx);
    }
}

impl FnProbe<functions::HandleSoftirqs> for Logger {
    fn hit(&self, from: SoftirqFrom, cx: &ProbeCx<'_>) {
        self.core.cells.set(Cell::LogFrom, number_of(from), cx);
    }
}

impl Probe<events::NapiPoll> for Logger {
    fn hit(&self, args: Polled<'_>, cx: &ProbeCx<'_>) {
        let what = match args.kind {
            events::PollKind::Backlog => What::PollBacklog,
            events::PollKind::Device => What::PollDevice,
            events::PollKind::Threaded => What::PollThreaded,
        };
        let mut entry = Entry::new(what, cx).more(pair(args.work, args.budget));
        if let (Some(dev), Some(net)) = (args.dev, args.net_id()) {
            if !(self.core.device.passes(dev.id()) && NETNS.passes(net)) {
                return;
            }
            entry = entry.device(dev);
        }
        self.add(entry, cx);
    }
}

impl Probe<events::KfreeSkb> for Logger {
    fn hit(&self, args: Dropped<'_>, cx: &ProbeCx<'_>) {
        let known = args.net_id.is_some_and(|net| NETNS.passes(net));
        if (known || NETNS.is_open()) && self.core.device.passes_with(|| args.packet.device_id()) {
            let entry = Entry::new(What::Drop, cx).packet(&args.packet);
            self.add(entry.more(args.reason.number().into()), cx);
        }
    }
}

impl Probe<events::SkDataReady> for Logger {
    fn hit(&self, socket: SocketRef<'_>, cx: &ProbeCx<'_>) {
        self.of_socket(What::Wakeup, &socket, cx);
    }
}

macro_rules! queues {
    ($($function:ident)+) => {$(
        impl FnProbe<functions::$function> for Logger {
            fn hit(&self, socket: SocketRef<'_>, cx: &ProbeCx<'_>) {
                self.of_socket(What::SockQueue, &socket, cx);
            }
        }
    )+};
}

queues! { UdpEnqueue TcpQueueRcv SockQueueRcv }

impl Probe<events::CsdQueueCpu> for Logger {
    fn hit(&self, args: RemoteCall, cx: &ProbeCx<'_>) {
        self.remote(What::RpsIpi, &args, cx);
    }
}

impl Probe<events::CsdFunctionEntry> for Logger {
    fn hit(&self, args: RemoteCall, cx: &ProbeCx<'_>) {
        self.remote(What::RpsAnswer, &args, cx);
    }
}

impl FnProbe<functions::NfHookSlow> for Logger {
    fn hit(&self, verdict: Verdict, cx: &ProbeCx<'_>) {
        let number = match verdict {
            Verdict::Accept => 0,
            Verdict::Drop => 1,
            Verdict::Stolen => 2,
        };
        self.add(Entry::new(What::Netfilter, cx).more(number), cx);
    }
}
