// SPDX-License-Identifier: GPL-2.0

// A CPU's own value is for code that stays on the CPU.
// error: E0277 is not satisfied

use rnet::{
    percpu::Cells,
    prelude::*, //
};

include!("../skeleton.rs");

rnet::counters! {
    pub enum One { Value }
}

pub fn read(cells: &Cells<One>, rtnl: &Rtnl) -> u64 {
    cells.get(One::Value, rtnl) //~
}
