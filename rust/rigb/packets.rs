// SPDX-License-Identifier: GPL-2.0

//! Packets on their way out and in.

use rnet::{
    napi::Budget,
    nic::Clock,
    prelude::*,
    ring::{
        RxPort,
        TxPort, //
    },
    skb::{
        Likeness,
        Wanted, //
    },
};

use crate::{
    desc::{
        self,
        Plan, //
    },
    port::Port, //
};

/// The chip pads short frames itself, but not ones that have no more than a header.
pub(crate) const SHORTEST: u32 = 17;

/// What a transmit queue remembers: the contexts that the chip has, and which packets need no more
/// than the first of them.
#[derive(Default)]
pub(crate) struct TxState {
    contexts: [Option<desc::Tx>; 2],
    known: Option<(Likeness, Plan)>,
}

impl Port {
    #[inline]
    pub(crate) fn send<'call>(
        &self,
        skb: TxSkb<'call>,
        tx: &mut TxPort<'_, desc::Tx, TxState>,
    ) -> Xmit<'call, Qdisc> {
        let skb = match skb.pad_to(SHORTEST) {
            Ok(skb) => skb,
            Err(gone) => return Xmit::Taken(gone),
        };
        let nic = tx.nic();
        let needed = skb.pieces(desc::MAX_PIECE).saturating_add(1);
        let Some((mut slots, state)) = tx.reserve(needed) else {
            return Xmit::Busy(skb.busy());
        };
        let (len, vlan) = (skb.len(), skb.vlan_tag());
        let likeness = skb.likeness();
        if !skb.wants_stamp() {
            // What is forwarded, has its checksum, or is like the one before: by itself, so that it
            // is short.
            let plan = match (&state.known, likeness) {
                (_, None) if vlan.is_none() && !skb.wants_offload() => Some(Plan::PLAIN),
                (Some((like, plan)), Some(this)) if *like == this => Some(*plan),
                _ => None,
            };
            if let Some(plan) = plan {
                let posted = slots.post(skb, desc::MAX_PIECE, len, 1, |segment| {
                    plan.whole(len, segment)
                });
                return Xmit::Taken(match posted {
                    Ok(gone) | Err(gone) => gone,
                });
            }
        }
        let (skb, offload) = match skb.offload(self.max_network, desc::MAX_TRANSPORT) {
            Wanted::Nothing(skb) => (skb, None),
            Wanted::Offload(skb, offload) => (skb, Some(offload)),
            Wanted::Dropped(gone) => return Xmit::Taken(gone),
        };
        let len = skb.len();
        let mut plan = Plan::new(vlan, offload.as_ref());
        // Not where the stack has written the checksum.
        let alike = likeness
            .filter(|_| offload.is_some())
            .map(|likeness| (likeness, plan));
        let claim = nic.claim_stamp(&skb);
        if claim.is_some() {
            // One that came too late for its packet is not this one's.
            let _ = self.sent_stamp(&nic);
            plan.stamp();
        }
        let mut changed = None;
        if let Some((index, context)) = plan.context {
            if let Some(known) = state.contexts.get_mut(index) {
                if *known != Some(context) {
                    slots.context(context);
                    changed = Some((known, context));
                }
            }
        }
        let posted = slots.post(
            skb,
            desc::MAX_PIECE,
            plan.wire_bytes(len),
            plan.segments,
            |segment| plan.data(len, segment),
        );
        match posted {
            Ok(gone) => {
                if let Some((known, context)) = changed {
                    *known = Some(context);
                }
                // Those that are alike have the first context, if any.
                if plan.uses_first() {
                    state.known = alike;
                }
                if let Some(claim) = claim {
                    claim.posted();
                }
                Xmit::Taken(gone)
            }
            Err(gone) => Xmit::Taken(gone),
        }
    }

    #[inline]
    pub(crate) fn take_in(&self, rx: &mut RxPort<'_, desc::Rx>, budget: &mut Budget<'_>) {
        let features = self.features();
        let checksums = features.contains(Features::RXCSUM);
        let hashes = features.contains(Features::RXHASH);
        let nic = rx.nic();
        while let Some(mut packet) = rx.next(budget) {
            let desc = packet.descriptor();
            match desc.checksum() {
                Some(true) if checksums => packet.checksum_verified(),
                Some(false) => packet.count_checksum_error(),
                _ => {}
            }
            if let Some((hash, ports)) = desc.hash().filter(|_| hashes) {
                packet.hash(hash, ports);
            }
            if let Some(tci) = desc.vlan() {
                packet.vlan_tag(tci);
            }
            if desc.is_stamped() {
                if let Some(cycles) = self.received.take(nic.io()) {
                    packet.stamp(&nic, cycles);
                }
            }
            packet.deliver();
        }
    }
}
