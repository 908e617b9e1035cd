//! The same verb on several workloads, a few at a time.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use backstop_model::Fault;

use crate::report::RunReport;

/// Where the result of one item is put.
type Slot = Mutex<Option<Result<Vec<RunReport>, Fault>>>;

/// Does `work` on each item with at most `most` threads; reports come back in the order of the items. An item that
/// cannot even begin becomes a fault in its place and does not stop the others.
pub(crate) fn each<T: Sync>(
    items: &[T],
    most: usize,
    work: impl Fn(&T) -> Result<Vec<RunReport>, Fault> + Sync,
) -> Result<Vec<RunReport>, Fault> {
    let next = AtomicUsize::new(0);
    let results: Vec<Slot> = items.iter().map(|_| Mutex::new(None)).collect();
    std::thread::scope(|scope| {
        for _ in 0..most.clamp(1, items.len().max(1)) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(at) else { return };
                    let result = work(item);
                    *results[at].lock().expect("no thread panics holding it") = Some(result);
                }
            });
        }
    });
    let mut reports = Vec::new();
    let mut first_fault = None;
    for result in results {
        match result.into_inner().expect("no thread panics holding it") {
            Some(Ok(mut some)) => reports.append(&mut some),
            Some(Err(fault)) => {
                first_fault.get_or_insert(fault);
            }
            None => {}
        }
    }
    match first_fault {
        Some(fault) if reports.is_empty() => Err(fault),
        Some(fault) => {
            if let Some(last) = reports.last_mut() {
                last.notes.push(format!("another workload could not be handled: {}", fault.message));
                last.code = crate::report::worst([last.code, fault.code]);
            }
            Ok(reports)
        }
        None => Ok(reports),
    }
}
