//! Questions to the operator: before something is replaced or removed, and which backup is meant.

use backstop_model::{Fault, WorkloadName};
use backstop_ops::list;

use super::Call;
use super::screen::Screen;
use super::words;

/// Makes sure that somebody means it: `--yes`, or the word typed on a terminal.
///
/// # Errors
/// A usage fault without both, or when something else is typed.
pub fn confirm(call: &Call<'_>, screen: &mut Screen, what: &str, word: &str) -> Result<(), Fault> {
    if call.options.yes {
        return Ok(());
    }
    if !screen.is_interactive() {
        let hint = "`--yes` says that it is meant; `--dry-run` shows what would be done";
        return Err(Fault::usage(format!("{what}, and there is no terminal to ask"), hint));
    }
    screen.tell(what);
    match screen.ask(&format!("type `{word}` to go on: ")) {
        Some(answer) if answer == word => Ok(()),
        Some(_) => Err(Fault::usage("not confirmed: nothing was done", "")),
        None => Err(Fault::usage("no answer: nothing was done", "")),
    }
}

/// Lets somebody choose a backup from a numbered list.
///
/// # Errors
/// Without backups, without a terminal or input, or when the answer is no number of the list.
pub fn choose(call: &Call<'_>, screen: &mut Screen, workload: &WorkloadName) -> Result<String, Fault> {
    const SHOWN: u32 = 30;
    let request = list::Request { workload: Some(workload.clone()), limit: Some(SHOWN), ..list::Request::default() };
    let listed = list::list(call.ctx, &request)?;
    if listed.backups.is_empty() {
        let hint = format!("make one: `backstop backup trigger {workload}`");
        return Err(Fault::not_found(format!("`{workload}` has no backup yet"), hint));
    }
    let look = words::Look { colour: false, verbose: 0, now: listed.now };
    let mut table = super::table::Table::new(0).right(&[0, 2]);
    for (index, row) in listed.backups.iter().enumerate() {
        table.row([
            (index + 1).to_string(),
            words::instant(row.created),
            row.size.to_string(),
            words::places(row),
            look.best_proof(row),
        ]);
    }
    screen.tell(table.text().trim_end());
    let answer = screen.ask(&format!("which one? [1-{}] ", listed.backups.len()));
    let Some(answer) = answer else {
        return Err(Fault::usage("no answer: nothing was done", "without a terminal, name a backup with `--backup`"));
    };
    let chosen = answer.parse::<usize>().ok().and_then(|number| listed.backups.get(number.checked_sub(1)?));
    let chosen = chosen.ok_or_else(|| {
        let hint = "answer with a number of the list, or name a backup with `--backup`";
        Fault::usage(format!("`{}` is none of them", answer.escape_debug()), hint)
    })?;
    Ok(chosen.name.to_string())
}
