//! `ottla log check`: what a start would find in a data folder that no broker runs on, and do about it.

use std::io::ErrorKind;
use std::path::Path;

use log::check::{Action, Finding, FolderCheck};
use rt::Rt;

use crate::cell::{Cell, Tone};
use crate::failure::Failure;
use crate::output::{Column, Output, column};
use crate::progress::Progress;

const COLUMNS: [Column; 5] =
    [column("file"), column("position"), column("offset"), column("problem"), column("at_a_start")];

/// Checks a folder; whatever is wrong is a row, and makes the command fail.
pub(crate) async fn run(rt: &Rt, folder: &Path, mut output: Output) -> Result<(), Failure> {
    let (rt_inside, folder) = (rt.clone(), folder.to_path_buf());
    let checked = rt.blocking(move || check(&rt_inside, &folder)).await?;
    let is_wrong = !checked.findings.is_empty();
    if is_wrong || output.is_json() {
        output.rows(&COLUMNS, checked.findings.iter().map(row).collect());
    }
    if !output.is_json() {
        let how = if checked.is_clean { "was closed cleanly" } else { "was not closed: a start recovers it" };
        output.line(&format!("{} partitions were read; the folder {how}.", checked.partitions));
    }
    output.finish(rt).await?;
    match checked.findings.len() {
        0 => Ok(()),
        1 => Err(Failure::refused("one thing is wrong")),
        many => Err(Failure::refused(format!("{many} things are wrong"))),
    }
}

struct Checked {
    findings: Vec<Finding>,
    partitions: usize,
    is_clean: bool,
}

fn check(rt: &Rt, folder: &Path) -> Result<Checked, Failure> {
    let mut check = FolderCheck::open(rt.fs(), folder).map_err(|error| match error.kind() {
        ErrorKind::WouldBlock => Failure::refused(format!("a broker runs on {}", folder.display()))
            .next("Stop it first; log dump looks at single files of a broker that runs."),
        ErrorKind::NotFound => Failure::input(format!("{} is no data folder", folder.display())),
        _ => Failure::refused(error.to_string()),
    })?;
    let failed = |error: std::io::Error| Failure::refused(error.to_string());
    let partitions = check.partitions().map_err(failed)?;
    let progress = Progress::start(rt, Some(partitions.iter().map(|(_, size)| size).sum()));
    let mut read = 0;
    for (name, _) in &partitions {
        let done = |bytes| {
            read += bytes;
            progress.show(rt, read, 0, read);
        };
        check.partition(name, done).map_err(failed)?;
    }
    progress.finish(rt);
    Ok(Checked {
        findings: check.findings().to_vec(),
        partitions: partitions.len(),
        is_clean: check.is_clean(),
    })
}

fn row(finding: &Finding) -> Vec<Cell> {
    let (tone, action) = match finding.action {
        Action::CutTail(bytes) => (Tone::Good, format!("cuts {bytes} bytes that were never acknowledged")),
        Action::Rebuild => (Tone::Good, "builds it anew, or does without".to_owned()),
        Action::RefuseReads => (Tone::Bad, "serves the partition and refuses reads of this".to_owned()),
        Action::StopPartition => (Tone::Bad, "leaves the partition closed".to_owned()),
        Action::RefuseStart => (Tone::Bad, "does not start".to_owned()),
    };
    vec![
        Cell::text(finding.path.display()),
        Cell::Int(i64::try_from(finding.position).unwrap_or(i64::MAX)),
        finding.offset.map_or(Cell::None, |offset| Cell::Int(offset.0)),
        Cell::text(&finding.what),
        Cell::Toned(tone, action),
    ]
}
