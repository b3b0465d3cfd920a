// SPDX-License-Identifier: GPL-2.0

//! What a device has while it is up: rings, NAPIs, interrupts.

use core::{
    cell::UnsafeCell,
    ptr::{
        null_mut,
        NonNull, //
    },
};

use kernel::prelude::*;
use net_bindings as nb;

use super::{
    core::{
        Config,
        Core, //
    },
    moderation::Totals,
    vector::Vector,
    xdp::Back,
    Driver,
    Nic,
    Pair,
    Rings, //
};
use crate::{
    irq::{
        Line,
        Mode, //
    },
    napi::Budget,
    pci::Awake,
    ring::{
        FrameLimits,
        FrameTx,
        Outcome,
        RxPort,
        RxRing,
        Seen,
        TxPort,
        TxRing, //
    },
    xdp::Frame, //
};

/// A queue pair.
pub(super) struct Queues<D: Driver> {
    tx: TxRing<D::TxDesc>,
    /// Of whoever holds the transmit lock.
    state: UnsafeCell<D::TxState>,
    /// Of the NAPI.
    rx: UnsafeCell<RxRing<D::RxDesc>>,
}

// SAFETY: The receive ring is used by its NAPI only, the state under the transmit lock only.
unsafe impl<D: Driver> Sync for Queues<D> {}

impl<D: Driver> Queues<D> {
    /// Cleans and receives. False when it has to be called again.
    ///
    /// # Safety
    ///
    /// In the poll function of the NAPI that these queues belong to.
    #[inline]
    pub(super) unsafe fn poll(
        &self,
        core: &Core<D>,
        clean: u32,
        budget: i32,
        credit: &mut Budget<'_>,
    ) -> bool {
        // SAFETY: By the requirement.
        let mut complete = unsafe { self.tx.poll(clean, budget) };
        // With a budget of 0 this is netpoll, which must not receive.
        if budget > 0 {
            // SAFETY: By the requirement nobody else uses the ring.
            let rx = unsafe { &mut *self.rx.get() };
            // SAFETY: In the poll function, as all of them.
            let back = unsafe { Back::new(self) };
            // SAFETY: With a budget.
            let mut port = unsafe { RxPort::new(rx, core.viewer(&back), core.nic()) };
            core.driver().receive(&mut port, credit);
            drop(port);
            complete &= rx.refill();
        }
        complete
    }

    /// What has come and gone here since there is the device.
    ///
    /// # Safety
    ///
    /// In the poll function of the NAPI that these queues belong to.
    #[inline]
    pub(super) unsafe fn totals(&self) -> Totals {
        // SAFETY: By the requirement nobody else uses the ring.
        let rx = unsafe { (*self.rx.get()).stats() };
        Totals {
            received: rx.packets.get(),
            bytes: rx.bytes.get(),
            sent: self.tx.stats().packets.get(),
        }
    }

    /// The transmit side.
    ///
    /// # Safety
    ///
    /// In the transmit callback of this queue, with its lock held; the returned value must not
    /// outlive it.
    #[inline]
    pub(super) unsafe fn tx_port<'a>(&'a self, nic: Nic<'a>) -> TxPort<'a, D::TxDesc, D::TxState> {
        // SAFETY: By the requirement nobody else is here.
        unsafe { TxPort::new(&self.tx, &mut *self.state.get(), nic) }
    }

    /// The core's transmit queue.
    #[inline]
    pub(super) fn txq(&self) -> NonNull<nb::netdev_queue> {
        self.tx.txq()
    }

    /// Puts a frame into the transmit ring. The device is not told yet.
    ///
    /// # Safety
    ///
    /// With the lock of [`txq`](Self::txq) held.
    pub(super) unsafe fn send_frame(&self, frame: Frame) -> Outcome {
        let limits = FrameLimits {
            shortest: D::XDP_SHORTEST,
            piece: D::XDP_PIECE,
        };
        // SAFETY: By the requirement.
        unsafe { FrameTx::new(&self.tx) }.send(frame, limits, |len, segment| {
            D::xdp_descriptor(len, segment)
        })
    }

    /// Tells the device of frames.
    ///
    /// # Safety
    ///
    /// With the lock of [`txq`](Self::txq) held.
    pub(super) unsafe fn start_frames(&self) {
        // SAFETY: By the requirement.
        unsafe { FrameTx::new(&self.tx) }.start();
    }

    /// Whether the device does not send what it was given. Has the queue polled if the device is
    /// done, but nobody has noticed. In the service work.
    pub(super) fn is_stuck(&self) -> bool {
        match self.tx.look() {
            Seen::Fine => false,
            Seen::Forgotten => {
                self.tx.poll_soon();
                false
            }
            Seen::Stuck => true,
        }
    }
}

/// A device that is up, or on the way up or down. Its parts end in this order.
pub(super) struct Running<D: Driver> {
    /// The interrupt for everything else.
    other: Option<Line>,
    pub(super) queues: KVec<KBox<Queues<D>>>,
    vectors: KVec<Pin<KBox<Vector<D>>>>,
    pub(super) rings: Rings,
    /// Last: what ends before may reach registers.
    _awake: Awake,
}

impl<D: Driver> Running<D> {
    /// Allocates everything that `config` asks for. RTNL. Errors: `ENOMEM`, or what the driver's
    /// constants make impossible (`EINVAL`).
    pub(super) fn new(core: &Core<D>, config: &Config) -> Result<Self> {
        let shared = core.shared();
        let mut this = Self {
            other: None,
            queues: KVec::new(),
            vectors: KVec::new(),
            rings: Rings {
                pairs: KVec::new(),
                max_frame: config.max_frame(),
            },
            _awake: shared.awake()?,
        };
        let vectors = config.queues.min(shared.queue_vectors());
        for index in 0..vectors {
            // SAFETY: The data of the device, which goes down before it ends.
            let vector = unsafe { Vector::new(NonNull::from(core), index)? };
            this.vectors.push(vector, GFP_KERNEL)?;
        }
        for queue in 0..config.queues {
            let vector = queue.checked_rem(vectors).ok_or(EINVAL)?;
            this.add_queues(core, config, queue, vector)?;
        }
        Ok(this)
    }

    fn add_queues(&mut self, core: &Core<D>, config: &Config, queue: u32, vector: u32) -> Result {
        let shared = core.shared();
        let at = queue as usize;
        let stats = shared.queue_stats();
        let (dma, netdev) = (shared.dma(), shared.netdev());
        let home = self.vectors.get_mut(vector as usize).ok_or(EINVAL)?;
        let tail = |offset: Option<usize>| {
            offset
                .and_then(|offset| shared.io().doorbell(offset))
                .ok_or(EINVAL)
        };
        // SAFETY: A registered device, which has this queue: there are as many as the driver's
        // limit, and `config` is inside of it.
        let txq = NonNull::new(unsafe { nb::netdev_get_tx_queue(netdev.as_ptr(), queue) });
        // SAFETY: The device is bound and mapped, and the network device there, until the data of
        // the device is dropped, and the rings before that. The NAPI is freed after the queues.
        let tx = unsafe {
            TxRing::new(
                config.tx_len,
                dma,
                netdev,
                txq.ok_or(EINVAL)?,
                home.napi(),
                tail(D::tx_tail(queue))?,
                stats.tx.get(at).ok_or(EINVAL)?.clone(),
            )?
        };
        // SAFETY: As above. The NAPI is freed after the queues, and disabled before.
        let rx = unsafe {
            RxRing::new(
                config.rx_len,
                dma,
                netdev,
                home.napi(),
                queue,
                tail(D::rx_tail(queue))?,
                stats.rx.get(at).ok_or(EINVAL)?.clone(),
            )?
        };
        let pair = Pair {
            tx: tx.address(),
            rx: rx.address(),
            vector,
        };
        let queues = KBox::new(
            Queues {
                tx,
                state: UnsafeCell::new(D::TxState::default()),
                rx: UnsafeCell::new(rx),
            },
            GFP_KERNEL,
        )?;
        let ptr = NonNull::from(&*queues);
        self.queues.push(queues, GFP_KERNEL)?;
        // SAFETY: The vector is not moved.
        let home = unsafe { home.as_mut().get_unchecked_mut() };
        home.queues.push(ptr, GFP_KERNEL)?;
        self.rings.pairs.push(pair, GFP_KERNEL)?;
        Ok(())
    }

    /// Links queues and NAPIs, requests the interrupts and enables the NAPIs. RTNL. When it fails,
    /// [`unplug`](Self::unplug) undoes what was done.
    pub(super) fn plug(&mut self, core: &Core<D>) -> Result {
        let shared = core.shared();
        let dev = shared.dev();
        self.link(core, true);
        for vector in &mut self.vectors {
            // SAFETY: The vector is not moved.
            let vector = unsafe { vector.as_mut().get_unchecked_mut() };
            let irq = shared.irq(vector.index)?;
            let cookie = (&raw mut *vector).cast();
            let line = match shared.mode() {
                // SAFETY: The cookie is the vector, which frees the interrupt before it ends.
                Mode::MsiX => unsafe {
                    Line::new(
                        irq,
                        Vector::<D>::queue_interrupt,
                        false,
                        cookie,
                        fmt!("{}-{}", dev, vector.index),
                    )?
                },
                // SAFETY: The cookie is the vector, as for MSI-X.
                mode => unsafe {
                    Line::new(
                        irq,
                        Vector::<D>::shared_interrupt,
                        mode == Mode::Intx,
                        cookie,
                        fmt!("{}", dev),
                    )?
                },
            };
            // SAFETY: A NAPI that was added; the interrupt is requested.
            unsafe { nb::netif_napi_set_irq(vector.napi().as_ptr(), line.irq() as i32) };
            vector.line = Some(line);
            // SAFETY: Added, and not enabled.
            unsafe { nb::napi_enable(vector.napi().as_ptr()) };
            vector.enabled = true;
        }
        if let Some(other) = shared.other_vector() {
            // SAFETY: The cookie is the device's data, which goes down before it ends.
            self.other = Some(unsafe {
                Line::new(
                    shared.irq(other)?,
                    Vector::<D>::other_interrupt,
                    false,
                    (&raw const *core).cast_mut().cast(),
                    fmt!("{}", dev),
                )?
            });
        }
        Ok(())
    }

    /// Sets how long the vectors hold interrupts back. RTNL.
    pub(super) fn set_interval(&self, core: &Core<D>, usecs: u32) {
        if D::HAS_SET_INTERVAL {
            for vector in &self.vectors {
                vector.hold_back(core, usecs);
            }
        }
    }

    /// Tells the device which receive buffers are there. RTNL, before interrupts are on.
    pub(super) fn tell(&mut self) {
        for queues in &mut self.queues {
            queues.rx.get_mut().tell();
        }
    }

    /// Ends interrupts and polls. RTNL; waits for both.
    pub(super) fn unplug(&mut self, core: &Core<D>) {
        self.other = None;
        for vector in &mut self.vectors {
            // SAFETY: The vector is not moved.
            let vector = unsafe { vector.as_mut().get_unchecked_mut() };
            if vector.enabled {
                // SAFETY: Enabled. Process context; waits for a poll that runs.
                unsafe { nb::napi_disable(vector.napi().as_ptr()) };
                vector.enabled = false;
            }
            if vector.line.is_some() {
                // SAFETY: A NAPI that was added; it must let go of the interrupt before it is
                // freed.
                unsafe { nb::netif_napi_set_irq(vector.napi().as_ptr(), -1) };
                vector.line = None;
            }
        }
        self.link(core, false);
    }

    /// Says which NAPI serves which queue. C function: `netif_queue_set_napi()`.
    fn link(&self, core: &Core<D>, on: bool) {
        for (queue, pair) in (0u32..).zip(&self.rings.pairs) {
            let napi = match self.vectors.get(pair.vector as usize) {
                Some(vector) if on => vector.napi().as_ptr(),
                _ => null_mut(),
            };
            // SAFETY: Under RTNL, with a queue of the device and a NAPI of it or none.
            unsafe {
                let dev = core.shared().dev().as_raw();
                nb::netif_queue_set_napi(
                    dev,
                    queue,
                    nb::netdev_queue_type_NETDEV_QUEUE_TYPE_RX,
                    napi,
                );
                nb::netif_queue_set_napi(
                    dev,
                    queue,
                    nb::netdev_queue_type_NETDEV_QUEUE_TYPE_TX,
                    napi,
                );
            }
        }
    }
}
