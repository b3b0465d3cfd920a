// SPDX-License-Identifier: GPL-2.0

//! Switching on and off.

use kernel::sync::{
    new_mutex,
    Arc,
    Mutex, //
};
use rnet::{
    prelude::*,
    trace::{
        events,
        functions,
        Attached,
        Detach,
        FnAttached, //
    }, //
};

use crate::{
    core::Core,
    stage::{
        self,
        at,
        Latency, //
    },
};

macro_rules! attachments {
    (
        events { $($field:ident: $event:ident = $bit:ident,)+ }
        functions { $($called:ident: $function:ident = $call:ident,)+ }
    ) => {
        /// The probes that are attached.
        struct Attachments {
            $($field: Option<Attached<events::$event, Core>>,)+
            $($called: Option<FnAttached<functions::$function, Core>>,)+
        }

        impl Attachments {
            const fn none() -> Self {
                Self { $($field: None,)+ $($called: None,)+ }
            }

            /// Attaches what is needed and not there yet.
            fn attach(&mut self, ctx: ModuleCtx, core: &Arc<Core>, needed: u32) -> Result {
                $(
                    if needed & at::$bit != 0 && self.$field.is_none() {
                        self.$field = Some(Attached::new(ctx, core.clone())?);
                    }
                )+
                $(
                    if needed & at::$call != 0 && self.$called.is_none() {
                        self.$called = Some(FnAttached::new(ctx, core.clone())?);
                    }
                )+
                Ok(())
            }

            /// Detaches what is not needed any more.
            fn detach(&mut self, needed: u32) {
                let mut together = Detach::new();
                $(
                    if needed & at::$bit == 0 {
                        if let Some(attached) = self.$field.take() {
                            together.add(attached);
                        }
                    }
                )+
                $(
                    if needed & at::$call == 0 {
                        self.$called = None;
                    }
                )+
            }
        }
    };
}

attachments! {
    events {
        xmit: NetDevStartXmit = XMIT,
        netif_rx: NetifRx = NETIF_RX,
        receive: NetifReceiveSkb = RECEIVE,
        raise: SoftirqRaise = RAISE,
        entry: SoftirqEntry = ENTRY,
        exit: SoftirqExit = EXIT,
        poll: NapiPoll = POLL,
        drop: KfreeSkb = DROP,
        wakeup: SkDataReady = WAKEUP,
        ipi_sent: CsdQueueCpu = IPI_SENT,
        ipi_run: CsdFunctionEntry = IPI_RUN,
    }
    functions {
        enqueue: EnqueueToBacklog = ENQUEUE,
        ip4: IpRcv = IP4,
        ip6: Ip6Rcv = IP6,
        tcp4: TcpV4Rcv = TCP4,
        tcp6: TcpV6Rcv = TCP6,
        udp4: UdpRcv = UDP4,
        udp6: UdpV6Rcv = UDP6,
        hooks: NfHookSlow = HOOKS,
    }
}

/// What the administrator is told.
const PRICE: &str = "150 instructions for each packet at each, 640 at netfilter's hooks";

/// The switches, and the probes behind them.
#[pin_data]
pub(crate) struct Control {
    pub(crate) core: Arc<Core>,
    ctx: ModuleCtx,
    #[pin]
    attached: Mutex<Attachments>,
    /// What the files of the filters show.
    #[pin]
    pub(crate) wanted: Mutex<crate::filter::Wanted>,
}

impl Control {
    pub(crate) fn new(ctx: ModuleCtx, core: Arc<Core>) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                core,
                ctx,
                attached <- new_mutex!(Attachments::none()),
                wanted <- new_mutex!(crate::filter::Wanted::new()),
            }),
            GFP_KERNEL,
        )
    }

    /// Whether all of these are on, or none (`None` if some).
    pub(crate) fn state(&self, switches: u32) -> Option<bool> {
        match self.core.on.get() & switches {
            0 => Some(false),
            on if on == switches => Some(true),
            _ => None,
        }
    }

    /// Switches on or off. When it fails, nothing is changed.
    pub(crate) fn switch(&self, switches: u32, on: bool) -> Result {
        let mut attached = self.attached.lock();
        let old = self.core.on.get();
        let new = if on { old | switches } else { old & !switches };
        if let Err(err) = attached.attach(self.ctx, &self.core, stage::needs(new)) {
            attached.detach(stage::needs(old));
            return Err(err);
        }
        for latency in Latency::ALL {
            if new & !old & latency.bit() != 0 {
                self.core.forget(*latency);
            }
        }
        self.core.on.set(new);
        if stage::needs(new) & !stage::needs(old) & at::FUNCTIONS != 0 {
            pr_info!("functions are probed: {}\n", PRICE);
        }
        attached.detach(stage::needs(new));
        Ok(())
    }

    /// Takes every probe away.
    pub(crate) fn all_off(&self) {
        let mut attached = self.attached.lock();
        self.core.on.set(0);
        attached.detach(0);
    }
}
