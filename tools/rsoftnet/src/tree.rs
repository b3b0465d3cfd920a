// SPDX-License-Identifier: GPL-2.0

//! The files under `/sys/kernel/rsoftnet`.

use std::{
    fs, io,
    path::{
        Path,
        PathBuf, //
    },
};

use anyhow::{
    bail,
    Context,
    Result, //
};

use crate::{
    events::Log,
    snapshot::Snapshot, //
};

const TOP: &str = "/sys/kernel/rsoftnet";

/// Where the files are.
pub struct Tree {
    top: PathBuf,
}

impl Tree {
    /// Fails where the module is not loaded, or its files are not for this user.
    pub fn open() -> Result<Self> {
        let tree = Self { top: TOP.into() };
        match fs::File::open(tree.path("snapshot")) {
            Ok(_) => Ok(tree),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                bail!("the module is not loaded, there is no {TOP} (insmod rsoftnet.ko)")
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                bail!("the files in {TOP} are root's: run it as root")
            }
            Err(error) => Err(error).context(TOP),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        Path::new(&self.top).join(name)
    }

    fn read(&self, name: &str) -> Result<String> {
        let path = self.path(name);
        fs::read_to_string(&path).with_context(|| path.display().to_string())
    }

    /// Everything of one moment.
    pub fn snapshot(&self) -> Result<Snapshot> {
        // One more reader than the module has places for takes the place of the first.
        for _ in 0..5 {
            match fs::read_to_string(self.path("snapshot")) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                text => return text.context(TOP)?.parse(),
            }
        }
        bail!("{TOP}/snapshot: too many read it")
    }

    /// The log of events.
    pub fn log(&self) -> Result<Log> {
        self.read("log/events")?.parse()
    }

    /// The value of a file, on one line.
    pub fn value(&self, name: &str) -> Result<String> {
        Ok(self.read(name)?.trim_end_matches('\n').to_owned())
    }

    /// Writes a value.
    pub fn write(&self, name: &str, value: &str) -> io::Result<()> {
        fs::write(self.path(name), value)
    }
}

/// Files that were changed, to be put back when this is dropped: also after an error, and when the
/// program is asked to end.
pub struct Changed<'t> {
    tree: &'t Tree,
    /// In the order in which they were changed first, each with the value that it had.
    old: Vec<(String, String)>,
}

impl<'t> Changed<'t> {
    /// Nothing yet.
    pub fn new(tree: &'t Tree) -> Self {
        Self {
            tree,
            old: Vec::new(),
        }
    }

    /// Writes a value, unless it is there.
    pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
        if !self.try_set(name, value)? {
            bail!("{}: {}", name, io::Error::from_raw_os_error(EOPNOTSUPP));
        }
        Ok(())
    }

    /// The same; false if this kernel cannot do it.
    pub fn try_set(&mut self, name: &str, value: &str) -> Result<bool> {
        let old = self.tree.value(name)?;
        if old == value {
            return Ok(true);
        }
        match self.tree.write(name, value) {
            Ok(()) => {
                if !self.old.iter().any(|(known, _)| known == name) {
                    self.old.push((name.to_owned(), old));
                }
                Ok(true)
            }
            Err(error) if error.raw_os_error() == Some(EOPNOTSUPP) => Ok(false),
            Err(error) => Err(error).with_context(|| format!("writing {value} to {name}")),
        }
    }
}

const EOPNOTSUPP: i32 = 95;

impl Drop for Changed<'_> {
    fn drop(&mut self) {
        for (name, value) in self.old.iter().rev() {
            if let Err(error) = self.tree.write(name, value) {
                // The module has left meanwhile: there is nothing to switch off.
                if error.kind() != io::ErrorKind::NotFound {
                    eprintln!("rsoftnet: putting {value:?} back into {name}: {error}");
                }
            }
        }
    }
}
