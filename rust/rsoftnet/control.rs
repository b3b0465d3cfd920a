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
        Attached,
        Detach, //
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
    ($($field:ident: $event:ident = $bit:ident,)+) => {
        /// The probes that are attached.
        struct Attachments {
            $($field: Option<Attached<events::$event, Core>>,)+
        }

        impl Attachments {
            const fn none() -> Self {
                Self { $($field: None,)+ }
            }

            /// Attaches what is needed and not there yet.
            fn attach(&mut self, ctx: ModuleCtx, core: &Arc<Core>, needed: u32) -> Result {
                $(
                    if needed & at::$bit != 0 && self.$field.is_none() {
                        self.$field = Some(Attached::new(ctx, core.clone())?);
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
            }
        }
    };
}

attachments! {
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
