//! `backup cat`: one file of a backup, to a stream.

use std::io::Write;
use std::path::PathBuf;

use backstop_model::tree::{NodeKind, show_path};
use backstop_model::{Fault, Place};

use crate::Context;
use crate::peek::peek;

/// What is asked.
#[derive(Debug, Clone)]
pub struct Request {
    /// Which backup: its name or a beginning of it.
    pub backup: String,
    /// Which file, as an absolute path.
    pub path: PathBuf,
    /// From this copy.
    pub from: Option<Place>,
}

/// Writes the file's contents. Every byte is authenticated before it is written.
///
/// # Errors
/// No such backup or file, a damaged copy, or what `out` says.
pub fn cat(ctx: &Context, request: &Request, out: &mut dyn Write) -> Result<(), Fault> {
    use std::os::unix::ffi::OsStrExt;
    let backup = ctx.backup(&request.backup)?;
    let peek = peek(ctx, &backup, request.from.as_ref())?;
    let mut path = request.path.as_os_str().as_bytes();
    while let Some(rest) = path.strip_prefix(b"/") {
        path = rest;
    }
    let entry = peek.vault.entry(&peek.snapshot, path).map_err(|error| {
        let fault = error.fault();
        let hint = format!("`backstop backup find NAME --workload {}` finds a path", backup.workload);
        if fault.hint.is_empty() { Fault { hint, ..fault } } else { fault }
    })?;
    if !matches!(entry.node.kind, NodeKind::File { .. }) {
        let hint = format!("`backstop backup restore {} --include PATH --to DIR` brings it back", backup.workload);
        return Err(Fault::usage(format!("`{}` is no regular file", show_path(path)), hint));
    }
    peek.vault.write_contents(&entry, out).map_err(|error| error.fault())?;
    out.flush().map_err(|error| {
        let message = format!("cannot write `{}` out: {error}", show_path(path));
        Fault::new(backstop_model::ExitCode::Failed, backstop_model::Advice::Retry, message, "")
    })
}
