// SPDX-License-Identifier: GPL-2.0

//! Switching on and off.

use kernel::sync::{
    new_mutex,
    Arc,
    Mutex, //
};
use rnet::prelude::*;

use crate::{
    attach::Attachments,
    core::{
        Cell,
        Core, //
    },
    log::Logger,
    stage::{
        self,
        at,
        Latency,
        Stage, //
    },
};

/// What the administrator is told.
const PRICE: &str = "about 160 instructions each time, 640 at each of netfilter's hooks";

/// The switches, and the probes behind them.
#[pin_data]
pub(crate) struct Control {
    pub(crate) core: Arc<Core>,
    pub(crate) logger: Arc<Logger>,
    ctx: ModuleCtx,
    #[pin]
    attached: Mutex<(Attachments<Core>, Attachments<Logger>)>,
    /// What the files of the filters show.
    #[pin]
    pub(crate) wanted: Mutex<crate::filter::Wanted>,
}

impl Control {
    pub(crate) fn new(ctx: ModuleCtx, core: Arc<Core>) -> Result<Arc<Self>> {
        let logger = Arc::new(Logger::new(core.clone())?, GFP_KERNEL)?;
        Arc::pin_init(
            pin_init!(Self {
                core,
                logger,
                ctx,
                attached <- new_mutex!((Attachments::none(), Attachments::none())),
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
        let (counting, logging) = &mut *attached;
        let old = self.core.on.get();
        let new = if on { old | switches } else { old & !switches };
        if stage::logs(old) == 0 && stage::logs(new) != 0 {
            self.logger.log.clear();
            self.core.cells.clear(Cell::LogFrom);
        }
        let done = counting
            .attach(self.ctx, &self.core, stage::needs(new))
            .and_then(|()| logging.attach(self.ctx, &self.logger, stage::logs(new)));
        if let Err(err) = done {
            counting.detach(stage::needs(old));
            logging.detach(stage::logs(old));
            return Err(err);
        }
        if new & !old & Stage::SoftirqContext.bit() != 0 {
            self.core.forget_context();
        }
        for latency in Latency::ALL {
            if new & !old & latency.bit() != 0 {
                self.core.forget(*latency);
            }
        }
        self.core.on.set(new);
        let probed = |on| (stage::needs(on) | stage::logs(on)) & at::FUNCTIONS;
        if probed(new) & !probed(old) != 0 {
            pr_info!("functions are probed: {}\n", PRICE);
        }
        counting.detach(stage::needs(new));
        logging.detach(stage::logs(new));
        Ok(())
    }

    /// Takes every probe away.
    pub(crate) fn all_off(&self) {
        let mut attached = self.attached.lock();
        self.core.on.set(0);
        attached.0.detach(0);
        attached.1.detach(0);
    }
}
