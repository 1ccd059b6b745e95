//! What the kernel tells.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::PathBuf;

use plimsoll::PressureLevel;
use rustix::fs::{Advice, fadvise};

use super::{SOURCES, has_finding, install, must, must_be, notices, percent, wait_until};
use crate::Outcome;
use crate::cgroup::Cgroup;
use crate::filler::Filler;

/// A limit that page cache alone touches is told, and is no pressure.
pub fn events(top: &Cgroup) -> Outcome {
    let file = ColdFile::make(96).map_err(|error| format!("cold file: {error}"))?;
    let own = top.limited("own", 64)?;
    own.join()?;
    let manager = install()?;
    wait_until("sources", || notices().sources == SOURCES)?;
    must_be("limit events", notices().limit_events_total, 0)?;
    let mut highest = PressureLevel::Normal;
    let mut failed = None;
    wait_until("an event", || {
        failed = failed.take().or(file.read().err());
        highest = highest.max(manager.pressure());
        notices().limit_events_total > 0
    })?;
    if let Some(error) = failed {
        return Err(format!("cold file: {error}"));
    }
    must(own.current_bytes()? > 48 << 20, "the page cache is charged")?;
    must_be("the highest level", highest, PressureLevel::Normal)?;
    must_be("kills", notices().kernel_kills_total, Some(0))
}

/// Above `memory.high` tasks are held up for as long as they stay there, which the trigger tells.
pub fn stall(top: &Cgroup) -> Outcome {
    let own = top.limited("own", 256)?;
    own.set_mib("memory.high", 48)?;
    own.join()?;
    let manager = install()?;
    wait_until("sources", || notices().sources == SOURCES)?;
    must_be("stalls", notices().stalls_total, 0)?;
    let filler = Filler::start(&own, 100)?;
    wait_until("two stalls", || notices().stalls_total > 1)?;
    must(!has_finding("psi-unavailable"), "PSI is there")?;
    drop(filler);
    wait_until("Normal", || manager.pressure() == PressureLevel::Normal)
}

/// A neighbour in our cgroup is killed: that is counted, and found.
pub fn kernel_killed(top: &Cgroup) -> Outcome {
    let own = top.limited("own", 64)?;
    own.join()?;
    install()?;
    wait_until("sources", || notices().sources == SOURCES)?;
    must(!has_finding("kernel-killed"), "nobody was killed")?;
    let mut filler = Filler::start(&own, 100)?;
    wait_until("the end of the neighbour", || filler.has_ended())?;
    wait_until("a kill", || notices().kernel_kills_total == Some(1))?;
    must(has_finding("kernel-killed"), "the kill is a finding")
}

/// A kernel without PSI: said once, nothing is told that did not happen, and readings are as ever.
pub fn without_psi(top: &Cgroup) -> Outcome {
    let own = top.limited("own", 256)?;
    own.set_mib("memory.high", 48)?;
    own.join()?;
    let manager = install()?;
    wait_until("sources", || notices().sources == ["memory.events"])?;
    // Sources are set up one after the other: the one that can't be had comes last.
    wait_until("a finding", || has_finding("psi-unavailable"))?;
    let filler = Filler::start(&own, 100)?;
    wait_until("an event", || notices().limit_events_total > 0)?;
    wait_until("High", || manager.pressure() >= PressureLevel::High)?;
    must(percent() < 200.0, "the percentage is one")?;
    drop(filler);
    wait_until("Normal", || manager.pressure() == PressureLevel::Normal)?;
    let told = notices();
    must_be(
        "stalls",
        (told.stalls_total, told.false_alarms_total),
        (0, 0),
    )
}

/// A file on disk, none of it in memory, so that whoever reads it is charged.
struct ColdFile(PathBuf);

impl ColdFile {
    fn make(mib: usize) -> io::Result<ColdFile> {
        let dir = ["/disk", "."]
            .into_iter()
            .find(|dir| fs::exists(dir).unwrap_or(false));
        let file = ColdFile(PathBuf::from(dir.unwrap_or(".")).join("v2_kernel.file"));
        let block = vec![7; 1 << 20];
        let mut written = File::create(&file.0)?;
        for _ in 0..mib {
            io::Write::write_all(&mut written, &block)?;
        }
        written.sync_all()?;
        fadvise(&written, 0, None, Advice::DontNeed)?;
        Ok(file)
    }

    fn read(&self) -> io::Result<()> {
        let mut buf = [0; 1 << 16];
        let mut file = File::open(&self.0)?;
        while file.read(&mut buf)? > 0 {}
        Ok(())
    }
}

impl Drop for ColdFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
