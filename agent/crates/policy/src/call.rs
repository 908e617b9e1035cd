//! One call: a fresh store, its limits, the guest's answer or why there is none.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use backstop_model::policy::{Asked, Fault, FaultKind, PolicyLimits};
use backstop_model::time::Span;
use wasmtime::component::{Instance, InstancePre};
use wasmtime::{Store, Trap, WasmBacktrace};

use crate::Engine;
use crate::limiter::Refused;
use crate::state::{Reach, State, TimeOver};
use crate::text::{LINE_MAX, quoted, untrusted};
use crate::ticker::Ticker;
use crate::witness::Witness;

/// The most bytes that a guest may hand to the host in one piece: an answer, or the arguments of a call.
const TRANSFER_MAX: usize = 16 << 20;

/// Beyond its limit, a call that waits in the host is given up.
const GRACE: Duration = Duration::from_millis(100);

/// Calls that reach outside and are under way at the same time, those included that were given up and still wait.
const APART_MAX: usize = 32;

/// A component ready to be instantiated, and what each instance may take up.
pub(crate) struct Guest {
    pub(crate) engine: Engine,
    pub(crate) pre: InstancePre<State>,
    pub(crate) limits: PolicyLimits,
}

/// A fault without a backtrace.
pub(crate) fn fault(kind: FaultKind, message: impl Into<String>) -> Fault {
    Fault { kind, message: message.into(), backtrace: Vec::new() }
}

/// An answer that makes no sense.
pub(crate) fn bad_answer(message: impl Into<String>) -> Fault {
    fault(FaultKind::BadAnswer, message)
}

/// What a plugin says when it found no answer.
pub(crate) fn gave_up(said: &str) -> Fault {
    fault(FaultKind::GaveUp, format!("it found no answer: {}", quoted(said)))
}

impl Guest {
    /// Instantiates the component and asks; `check` judges the answer.
    pub(crate) fn ask<R, A>(
        &self,
        reach: Reach,
        witness: &Arc<Witness>,
        ask: impl FnOnce(&mut Store<State>, &Instance) -> wasmtime::Result<R>,
        check: impl FnOnce(R, &State) -> Result<A, Fault>,
    ) -> Asked<A> {
        let begun = self.engine.monotonic();
        let (answer, fuel) = self.run(begun, reach, witness, ask, check);
        let (log, log_dropped) = witness.log();
        Asked { answer, log, log_dropped, took: span(self.engine.monotonic().saturating_sub(begun)), fuel }
    }

    fn run<R, A>(
        &self,
        begun: Duration,
        reach: Reach,
        witness: &Arc<Witness>,
        ask: impl FnOnce(&mut Store<State>, &Instance) -> wasmtime::Result<R>,
        check: impl FnOnce(R, &State) -> Result<A, Fault>,
    ) -> (Result<A, Fault>, u64) {
        let time = self.limits.time.as_std();
        let state = State::new(self.limits.memory, reach, Arc::clone(witness), self.engine.clock(), begun + time);
        let mut store = Store::new(self.engine.wasm(), state);
        store.limiter(|state| &mut state.limiter);
        store.set_hostcall_fuel(TRANSFER_MAX);
        store.set_fuel(u64::MAX).expect("the engine counts fuel");
        let _awake = self.engine.ticker().awake();
        store.set_epoch_deadline(Ticker::ticks(time));
        let asked = self.pre.instantiate(&mut store).and_then(|instance| ask(&mut store, &instance));
        let fuel = u64::MAX - store.get_fuel().unwrap_or(u64::MAX);
        let answer = match asked {
            Ok(answer) => check(answer, store.data()),
            Err(error) => Err(self.judge(&error, store.data())),
        };
        (answer, fuel)
    }

    /// Tells why a call failed.
    fn judge(&self, error: &wasmtime::Error, state: &State) -> Fault {
        let trace = error.downcast_ref::<WasmBacktrace>();
        let (kind, message) = self.reason(error, state, trace.is_some());
        Fault { kind, message, backtrace: trace.map(frames).unwrap_or_default() }
    }

    fn reason(&self, error: &wasmtime::Error, state: &State, in_guest: bool) -> (FaultKind, String) {
        if let Some(refused) = state.limiter.refused() {
            return (FaultKind::OutOfMemory, refused.to_owned());
        }
        if error.is::<Refused>() {
            return (FaultKind::OutOfMemory, "it wanted more memory than its limit (`limits.memory`)".to_owned());
        }
        if error.is::<TimeOver>() {
            return (FaultKind::TimedOut, self.too_late());
        }
        match error.downcast_ref::<Trap>() {
            Some(Trap::Interrupt) => (FaultKind::TimedOut, self.too_late()),
            Some(Trap::StackOverflow) => {
                let kib = crate::engine::STACK_MAX >> 10;
                (FaultKind::Trapped, format!("it called itself too deep: its stack of {kib} KiB is used up"))
            }
            Some(Trap::UnreachableCodeReached) => (FaultKind::Trapped, "it panicked or aborted".to_owned()),
            Some(trap) => {
                let words = trap.to_string();
                (FaultKind::Trapped, format!("it trapped: {}", words.strip_prefix("wasm trap: ").unwrap_or(&words)))
            }
            None if in_guest => (FaultKind::Trapped, format!("it misused the host: {}", root(error))),
            None => (FaultKind::BadAnswer, format!("its answer cannot be read: {}", root(error))),
        }
    }

    fn too_late(&self) -> String {
        format!("it did not answer within {} (`limits.time`)", self.limits.time)
    }

    /// The same for calls that reach outside: on a thread of its own, given up when the host does not come back in time.
    pub(crate) fn ask_apart<A: Send + 'static>(
        self: &Arc<Self>,
        witness: &Arc<Witness>,
        ask: impl FnOnce(&Self, &Arc<Witness>) -> Asked<A> + Send + 'static,
    ) -> Asked<A> {
        let begun = self.engine.monotonic();
        let lost = |fault: Fault| {
            let (log, log_dropped) = witness.log();
            let took = span(self.engine.monotonic().saturating_sub(begun));
            Asked { answer: Err(fault), log, log_dropped, took, fuel: 0 }
        };
        let under_way = self.engine.under_way();
        if under_way.load(Ordering::SeqCst) >= APART_MAX {
            let message = format!("it was not asked: {APART_MAX} earlier calls still wait for an answer from outside");
            return lost(fault(FaultKind::TimedOut, message));
        }
        // A place for the answer, so that a late thread never waits for whoever has given it up.
        let (sender, receiver) = sync_channel(1);
        let (guest, seen, counted) = (Arc::clone(self), Arc::clone(witness), UnderWay::new(under_way));
        let spawned = std::thread::Builder::new().name("policy-call".to_owned()).spawn(move || {
            let asked = ask(&guest, &seen);
            drop(counted);
            let _ = sender.send(asked);
        });
        if let Err(error) = spawned {
            return lost(fault(FaultKind::TimedOut, format!("no thread to ask it on: {error}")));
        }
        match receiver.recv_timeout(self.limits.time.as_std() + GRACE) {
            Ok(asked) => asked,
            Err(RecvTimeoutError::Timeout) => {
                let place = witness.waiting().map(|place| format!(": it waited in {place}")).unwrap_or_default();
                lost(fault(FaultKind::TimedOut, self.too_late() + &place))
            }
            Err(RecvTimeoutError::Disconnected) => {
                lost(fault(FaultKind::Trapped, "the agent itself failed while it asked; this is a bug of Backstop"))
            }
        }
    }
}

/// Counts a thread for as long as its call is not over.
struct UnderWay(Arc<AtomicUsize>);

impl UnderWay {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn span(took: Duration) -> Span {
    Span::from_millis(u64::try_from(took.as_millis()).unwrap_or(u64::MAX))
}

/// The innermost cause, in a line.
pub(crate) fn root(error: &wasmtime::Error) -> String {
    untrusted(&error.root_cause().to_string(), LINE_MAX)
}

/// The guest's frames, innermost first: `function (file:line)` as far as the component tells.
fn frames(trace: &WasmBacktrace) -> Vec<String> {
    trace.frames().iter().map(frame).collect()
}

fn frame(frame: &wasmtime::FrameInfo) -> String {
    let symbol = frame.symbols().first();
    let name = symbol.and_then(wasmtime::FrameSymbol::name).or_else(|| frame.func_name());
    let name = name.map_or_else(
        || format!("function {}", frame.func_index()),
        |name| format!("{:#}", rustc_demangle::demangle(name)),
    );
    let place = symbol.and_then(|symbol| Some(format!(" ({}:{})", symbol.file()?, symbol.line()?)));
    untrusted(&(name + &place.unwrap_or_default()), LINE_MAX)
}
