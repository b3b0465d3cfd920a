// SPDX-License-Identifier: GPL-2.0

//! The probes that are attached, by the bits in [`at`].

use kernel::sync::Arc;
use rnet::{
    prelude::*,
    trace::{
        events,
        functions,
        Attached,
        Detach,
        FnAttached,
        FnProbe,
        Probe, //
    }, //
};

use crate::stage::at;

macro_rules! attachments {
    (
        events { $($field:ident: $event:ident = $bit:ident,)+ }
        functions { $($called:ident: $function:ident = $call:ident,)+ }
    ) => {
        /// Has something to do everywhere.
        pub(crate) trait Everywhere:
            $(Probe<events::$event> +)+ $(FnProbe<functions::$function> +)+ Send + Sync + 'static {}

        impl<P> Everywhere for P where
            P: $(Probe<events::$event> +)+ $(FnProbe<functions::$function> +)+ {}

        /// The probes of a `P` that are attached.
        pub(crate) struct Attachments<P: Everywhere> {
            $($field: Option<Attached<events::$event, P>>,)+
            $($called: Option<FnAttached<functions::$function, P>>,)+
        }

        impl<P: Everywhere> Attachments<P> {
            pub(crate) const fn none() -> Self {
                Self { $($field: None,)+ $($called: None,)+ }
            }

            /// Attaches what is needed and not there yet.
            pub(crate) fn attach(&mut self, ctx: ModuleCtx, probe: &Arc<P>, needed: u32) -> Result {
                $(
                    if needed & at::$bit != 0 && self.$field.is_none() {
                        self.$field = Some(Attached::new(ctx, probe.clone())?);
                    }
                )+
                $(
                    if needed & at::$call != 0 && self.$called.is_none() {
                        self.$called = Some(FnAttached::new(ctx, probe.clone())?);
                    }
                )+
                Ok(())
            }

            /// Detaches what is not needed any more.
            pub(crate) fn detach(&mut self, needed: u32) {
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
        udp_queue: UdpEnqueue = UDP_QUEUE,
        tcp_queue: TcpQueueRcv = TCP_QUEUE,
        other_queue: SockQueueRcv = OTHER_QUEUE,
        run: HandleSoftirqs = RUN,
    }
}
