// SPDX-License-Identifier: GPL-2.0

//! Registers of the 82576. Names are those of its datasheet.

rnet::registers! {
    /// Device control.
    pub(crate) Ctrl @ 0x0000 {
        /// Full duplex.
        FD = 1 << 0,
        /// Events wake the machine also where the bus has no auxiliary power management.
        ADVD3WUC = 1 << 20,
        /// The speed, if it is forced: both bits, and the two that can be.
        SPEED = 3 << 8,
        /// 100 Mbit/s.
        SPEED_100 = 1 << 8,
        /// 1000 Mbit/s.
        SPEED_1000 = 2 << 8,
        /// No new requests on the bus.
        GIO_MASTER_DISABLE = 1 << 2,
        /// Link up, as far as the MAC decides it.
        SLU = 1 << 6,
        /// Speed is forced.
        FRCSPD = 1 << 11,
        /// Duplex is forced.
        FRCDPX = 1 << 12,
        /// Resets the MAC.
        RST = 1 << 26,
        /// PAUSE frames are obeyed.
        RFCE = 1 << 27,
        /// PAUSE frames are sent.
        TFCE = 1 << 28,
        /// VLAN tags are taken out and put in.
        VME = 1 << 30,
    }
    /// Device status.
    pub(crate) Status @ 0x0008 {
        /// Full duplex.
        FD = 1 << 0,
        /// Link up.
        LU = 1 << 1,
        /// The partner has asked for silence.
        TXOFF = 1 << 4,
        /// 100 Mbit/s.
        SPEED_100 = 1 << 6,
        /// 1000 Mbit/s.
        SPEED_1000 = 1 << 7,
        /// The device may send requests on the bus.
        GIO_MASTER = 1 << 19,
    }
    /// EEPROM control.
    pub(crate) Eecd @ 0x0010 {
        /// The EEPROM has been read after a reset.
        AUTO_RD = 1 << 9,
    }
    /// EEPROM read.
    pub(crate) Eerd @ 0x0014 {
        /// Begin.
        START = 1 << 0,
        /// Done.
        DONE = 1 << 1,
    }
    /// Extended device control.
    pub(crate) CtrlExt @ 0x0018 {
        /// What kind of link: all bits.
        LINK_MODE = 3 << 22,
        /// A driver has taken the device.
        DRV_LOAD = 1 << 28,
    }
    /// Access to the PHY.
    pub(crate) Mdic @ 0x0020 {
        /// Write.
        OP_WRITE = 1 << 26,
        /// Read.
        OP_READ = 1 << 27,
        /// Done.
        READY = 1 << 28,
        /// The PHY did not answer.
        ERROR = 1 << 30,
    }
    /// Lights.
    pub(crate) Ledctl @ 0x0e00 {}
    /// PAUSE address, low.
    pub(crate) Fcal @ 0x0028 {}
    /// PAUSE address, high.
    pub(crate) Fcah @ 0x002c {}
    /// PAUSE EtherType.
    pub(crate) Fct @ 0x0030 {}
    /// Interrupt causes; reading clears.
    pub(crate) Icr @ 0x00c0 {
        /// A transmit descriptor was written back.
        TXDW = 1 << 0,
        /// The link has changed.
        LSC = 1 << 2,
        /// Few receive descriptors are left.
        RXDMT0 = 1 << 4,
        /// Receive timer.
        RXT0 = 1 << 7,
        /// The DMA engine lost its place.
        DOUTSYNC = 1 << 28,
        /// This interrupt was ours.
        ASSERTED = 1 << 31,
    }
    /// Causes that interrupt: set.
    pub(crate) Ims @ 0x00d0 {}
    /// Causes that interrupt: clear.
    pub(crate) Imc @ 0x00d8 {}
    /// Receive control.
    pub(crate) Rctl @ 0x0100 {
        /// On.
        EN = 1 << 1,
        /// Damaged frames come in.
        SBP = 1 << 2,
        /// Every unicast frame.
        UPE = 1 << 3,
        /// Every multicast frame.
        MPE = 1 << 4,
        /// Long frames, up to RLPML.
        LPE = 1 << 5,
        /// Broadcast frames.
        BAM = 1 << 15,
        /// Only VLANs that are in VFTA.
        VFE = 1 << 18,
        /// The FCS is taken off.
        SECRC = 1 << 26,
    }
    /// PAUSE time.
    pub(crate) Fcttv @ 0x0170 {}
    /// Transmit control.
    pub(crate) Tctl @ 0x0400 {
        /// On.
        EN = 1 << 1,
        /// Short frames are padded.
        PSP = 1 << 3,
        /// Collisions: how often, how far.
        CT_COLD = (15 << 4) | (64 << 12),
        /// Again after a late collision.
        RTLC = 1 << 24,
    }
    /// When interrupts come and what clears them.
    pub(crate) Gpie @ 0x1514 {
        /// Reading ICR clears it, always.
        NSICR = 1 << 0,
        /// MSI-X with several vectors.
        MSIX_MODE = 1 << 4,
        /// EIAM works.
        EIAME = 1 << 30,
        /// Pending bits are cleared with the cause.
        PBA = 1 << 31,
    }
    /// Vectors: set cause.
    pub(crate) Eics @ 0x1520 {}
    /// Vectors that interrupt: set.
    pub(crate) Eims @ 0x1524 {}
    /// Vectors that interrupt: clear.
    pub(crate) Eimc @ 0x1528 {}
    /// Vectors whose cause is cleared by the interrupt.
    pub(crate) Eiac @ 0x152c {}
    /// Vectors that the interrupt switches off.
    pub(crate) Eiam @ 0x1530 {}
    /// Time between interrupts of a vector.
    pub(crate) Eitr * 25 @ 0x1680 + 4 {}
    /// Vectors of queues.
    pub(crate) Ivar * 8 @ 0x1700 + 4 {}
    /// Vector of everything else.
    pub(crate) IvarMisc @ 0x1740 {}
    /// What the MAC counts; reading clears. By the offset from the first, divided by 4.
    pub(crate) Counted * 64 @ 0x4000 + 4 {}
    /// Below this much in the packet buffer, PAUSE ends.
    pub(crate) Fcrtl @ 0x2160 {}
    /// Above this much, PAUSE is sent.
    pub(crate) Fcrth @ 0x2168 {}
    /// Checksums of received frames.
    pub(crate) Rxcsum @ 0x5000 {
        /// IPv4 headers.
        IPOFL = 1 << 8,
        /// TCP and UDP.
        TUOFL = 1 << 9,
        /// SCTP.
        CRCOFL = 1 << 11,
        /// The hash in the place of the raw checksum.
        PCSD = 1 << 13,
    }
    /// Longest frame with LPE, with its FCS.
    pub(crate) Rlpml @ 0x5004 {}
    /// Multicast table.
    pub(crate) Mta * 128 @ 0x5200 + 4 {}
    /// Unicast addresses, low.
    pub(crate) RalLow * 16 @ 0x5400 + 8 {}
    /// Unicast addresses, high.
    pub(crate) RahLow * 16 @ 0x5404 + 8 {
        /// Valid.
        AV = 1 << 31,
    }
    /// Unicast addresses from 16 on, low.
    pub(crate) RalHigh * 8 @ 0x54e0 + 8 {}
    /// Unicast addresses from 16 on, high.
    pub(crate) RahHigh * 8 @ 0x54e4 + 8 {}
    /// VLAN table.
    pub(crate) Vfta * 128 @ 0x5600 + 4 {}
    /// Waking the machine.
    pub(crate) Wuc @ 0x5800 {
        /// Power management events are signalled.
        PME_EN = 1 << 1,
    }
    /// What wakes the machine.
    pub(crate) Wufc @ 0x5808 {
        /// A change of the link.
        LNKC = 1 << 0,
        /// A magic packet.
        MAG = 1 << 1,
        /// A frame for one of the exact addresses.
        EX = 1 << 2,
        /// A multicast frame.
        MC = 1 << 3,
        /// A broadcast frame.
        BC = 1 << 4,
    }
    /// What has woken the machine; ones clear.
    pub(crate) Wus @ 0x5810 {}
    /// How queues are chosen.
    pub(crate) Mrqc @ 0x5818 {
        /// By hash.
        RSS = 2,
        /// What is hashed: addresses, and ports of TCP.
        FIELDS = (1 << 16) | (1 << 17) | (1 << 18) | (1 << 20) | (1 << 21),
        /// Ports of UDP over IPv4, and over IPv6.
        UDP4 = 1 << 22,
        UDP6 = 1 << 23,
    }
    /// Filters by the ports that frames come from.
    pub(crate) Spqf * 8 @ 0x59c0 + 4 {}
    /// Filters by addresses, ports and protocol.
    pub(crate) Ftqf * 8 @ 0x59e0 + 4 {
        /// Any virtual function.
        ANY_VF = 1 << 15,
        /// Frames are stamped.
        STAMP = 1 << 27,
        /// Any address that frames come from.
        ANY_SOURCE = 1 << 29,
        /// Any address that they go to.
        ANY_TARGET = 1 << 30,
        /// The filter has nothing to compare.
        NOTHING = 15 << 28,
    }
    /// Filters by the ports that frames go to.
    pub(crate) Imir * 8 @ 0x5a80 + 4 {}
    /// What else these compare.
    pub(crate) Imirext * 8 @ 0x5aa0 + 4 {
        /// Any length.
        ANY_SIZE = 1 << 12,
        /// Any flags of TCP.
        ANY_FLAGS = 1 << 19,
    }
    /// Queues by hash, four to a register.
    pub(crate) Reta * 32 @ 0x5c00 + 4 {}
    /// The hash's key.
    pub(crate) Rssrk * 10 @ 0x5c80 + 4 {}
    /// Semaphores of the drivers, and with the firmware.
    pub(crate) Swsm @ 0x5b50 {
        /// Of the drivers; reading takes it.
        SMBI = 1 << 0,
        /// With the firmware.
        SWESMBI = 1 << 1,
    }
    /// Who uses what: drivers in the lower half, the firmware in the upper.
    pub(crate) SwFwSync @ 0x5b5c {}
    /// Filters by EtherType.
    pub(crate) Etqf * 8 @ 0x5cb0 + 4 {
        /// On.
        ENABLE = 1 << 26,
        /// Frames are stamped.
        STAMP = 1 << 30,
    }
    /// Messages of PTP that are stamped.
    pub(crate) Tsyncrxcfg @ 0x5f50 {}
    /// Multicast and unicast hash table.
    pub(crate) Uta * 128 @ 0xa000 + 4 {}
    /// The clock, low; reading fixes the other half.
    pub(crate) Systiml @ 0xb600 {}
    /// The clock, high.
    pub(crate) Systimh @ 0xb604 {}
    /// How fast the clock goes: what is added.
    pub(crate) Timinca @ 0xb608 {
        /// How often.
        EVERY_16NS = 1 << 24,
    }
    /// Stamps of sent packets.
    pub(crate) Tsynctxctl @ 0xb614 {
        /// There is one.
        VALID = 1 << 0,
        /// On.
        ENABLED = 1 << 4,
    }
    /// The stamp of a sent packet, low.
    pub(crate) Txstmpl @ 0xb618 {}
    /// The stamp of a sent packet, high; reading makes room for the next.
    pub(crate) Txstmph @ 0xb61c {}
    /// Stamps of received frames.
    pub(crate) Tsyncrxctl @ 0xb620 {
        /// There is one.
        VALID = 1 << 0,
        /// Messages of PTP version 1.
        V1 = 1 << 1,
        /// Events of PTP version 2.
        V2_EVENT = 5 << 1,
        /// On.
        ENABLED = 1 << 4,
    }
    /// The stamp of a received frame, low.
    pub(crate) Rxstmpl @ 0xb624 {}
    /// The stamp of a received frame, high; reading makes room for the next.
    pub(crate) Rxstmph @ 0xb628 {}
    /// Who has sent a stamped frame, and the number of its message.
    pub(crate) Rxsatrh @ 0xb630 {}
    /// Receive ring: address, low.
    pub(crate) Rdbal * 16 @ 0xc000 + 0x40 {}
    /// Receive ring: address, high.
    pub(crate) Rdbah * 16 @ 0xc004 + 0x40 {}
    /// Receive ring: bytes.
    pub(crate) Rdlen * 16 @ 0xc008 + 0x40 {}
    /// Receive ring: size and kind of buffers.
    pub(crate) Srrctl * 16 @ 0xc00c + 0x40 {
        /// One buffer a descriptor.
        ONE_BUFFER = 1 << 25,
        /// No buffer: drop, and do not hold up other queues.
        DROP_EN = 1 << 31,
    }
    /// Receive ring: where the device is.
    pub(crate) Rdh * 16 @ 0xc010 + 0x40 {}
    /// Receive ring: where the driver is.
    pub(crate) Rdt * 16 @ 0xc018 + 0x40 {}
    /// Receive ring: on and off, thresholds.
    pub(crate) Rxdctl * 16 @ 0xc028 + 0x40 {
        /// On.
        ENABLE = 1 << 25,
        /// Prefetch 8, host 8, write back 1.
        THRESHOLDS = 8 | (8 << 8) | (1 << 16),
    }
    /// Transmit ring: address, low.
    pub(crate) Tdbal * 16 @ 0xe000 + 0x40 {}
    /// Transmit ring: address, high.
    pub(crate) Tdbah * 16 @ 0xe004 + 0x40 {}
    /// Transmit ring: bytes.
    pub(crate) Tdlen * 16 @ 0xe008 + 0x40 {}
    /// Transmit ring: where the device is.
    pub(crate) Tdh * 16 @ 0xe010 + 0x40 {}
    /// Transmit ring: where the driver is.
    pub(crate) Tdt * 16 @ 0xe018 + 0x40 {}
    /// Transmit ring: on and off, thresholds.
    pub(crate) Txdctl * 16 @ 0xe028 + 0x40 {
        /// On.
        ENABLE = 1 << 25,
        /// Prefetch 8, host 1, write back 1.
        THRESHOLDS = 8 | (1 << 8) | (1 << 16),
    }
}
