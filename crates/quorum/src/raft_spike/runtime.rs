//! openraft's runtime over [`Rt`].
//!
//! - U1 openraft asks for time, tasks and randomness through static functions, `Rt` is a value: so every task of it
//!   runs inside [`within`], which says whose `Rt` is meant while it is polled.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::ops::{Add, AddAssign, Sub, SubAssign};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use openraft::{AsyncRuntime, OptionalSend};
use openraft_rt_tokio::{TokioMpsc, TokioMutex, TokioOneshot, TokioWatch};
use rt::channel::oneshot;
use rt::{Elapsed, Rt};

thread_local! {
    static CURRENT: RefCell<Option<Rt>> = const { RefCell::new(None) };
}

fn current() -> Rt {
    CURRENT.with_borrow(|current| current.clone()).expect("openraft is called inside `within` (U1)")
}

/// A future that, while it is polled, finds `rt` behind openraft's static functions.
pub(super) struct Within<F> {
    rt: Rt,
    future: Pin<Box<F>>,
}

/// Runs what calls openraft (U1).
pub(super) fn within<F: Future>(rt: &Rt, future: F) -> Within<F> {
    Within { rt: rt.clone(), future: Box::pin(future) }
}

impl<F: Future> Future for Within<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let before = CURRENT.replace(Some(self.rt.clone()));
        let polled = self.future.as_mut().poll(context);
        CURRENT.set(before);
        polled
    }
}

/// The type openraft is given.
#[derive(Debug)]
pub(super) struct RtRuntime;

/// A point on the clock of the node that is running.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(Duration);

impl openraft::Instant for Moment {
    fn now() -> Moment {
        Moment(current().now().since_start())
    }
}

impl Add<Duration> for Moment {
    type Output = Moment;

    fn add(self, duration: Duration) -> Moment {
        Moment(self.0.saturating_add(duration))
    }
}

impl AddAssign<Duration> for Moment {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl Sub<Duration> for Moment {
    type Output = Moment;

    fn sub(self, duration: Duration) -> Moment {
        Moment(self.0.saturating_sub(duration))
    }
}

impl SubAssign<Duration> for Moment {
    fn sub_assign(&mut self, duration: Duration) {
        *self = *self - duration;
    }
}

impl Sub for Moment {
    type Output = Duration;

    fn sub(self, earlier: Moment) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

/// A task ended without a value: its node died, or it panicked.
#[derive(Debug)]
pub(super) struct Ended;

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the task ended before it was done")
    }
}

/// A started task.
pub(super) struct Handle<T>(oneshot::Receiver<T>);

impl<T> Future for Handle<T> {
    type Output = Result<T, Ended>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map_err(|_| Ended)
    }
}

/// Randomness of the node that is running.
pub(super) struct Random(Rt);

impl rand::TryRng for Random {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Ok(u32::from_le_bytes(self.0.random_bytes()))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Ok(self.0.random_u64())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        bytes.fill_with(|| u8::from_le_bytes(self.0.random_bytes()));
        Ok(())
    }
}

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl AsyncRuntime for RtRuntime {
    type JoinError = Ended;
    type JoinHandle<T: OptionalSend + 'static> = Handle<T>;
    type Sleep = Boxed<()>;
    type Instant = Moment;
    type TimeoutError = Elapsed;
    type Timeout<R, T: Future<Output = R> + OptionalSend> = Timeout<T>;
    type ThreadLocalRng = Random;
    type Mpsc = TokioMpsc;
    type Watch = TokioWatch;
    type Oneshot = TokioOneshot;
    type Mutex<T: OptionalSend + 'static> = TokioMutex<T>;

    fn spawn<T>(future: T) -> Handle<T::Output>
    where
        T: Future + OptionalSend + 'static,
        T::Output: OptionalSend + 'static,
    {
        let rt = current();
        let (done, handle) = oneshot::channel();
        let scoped = within(&rt, async move {
            // Nobody waits for it when the handle was dropped.
            drop(done.send(future.await));
        });
        rt.spawn("openraft", scoped);
        Handle(handle)
    }

    fn sleep(duration: Duration) -> Boxed<()> {
        let rt = current();
        Box::pin(async move { rt.sleep(duration).await })
    }

    fn sleep_until(deadline: Moment) -> Boxed<()> {
        Self::sleep(deadline - <Moment as openraft::Instant>::now())
    }

    fn timeout<R, F: Future<Output = R> + OptionalSend>(duration: Duration, future: F) -> Timeout<F> {
        Timeout { sleep: Self::sleep(duration), future: Box::pin(future) }
    }

    fn timeout_at<R, F: Future<Output = R> + OptionalSend>(deadline: Moment, future: F) -> Timeout<F> {
        Self::timeout(deadline - <Moment as openraft::Instant>::now(), future)
    }

    fn is_panic(_: &Ended) -> bool {
        // The simulator stops at a panic, the process ends with one: what is left is a node that died.
        false
    }

    fn thread_rng() -> Random {
        Random(current())
    }

    fn new(_threads: usize) -> RtRuntime {
        RtRuntime
    }

    fn block_on<F, T>(&mut self, _future: F) -> T
    where
        F: Future<Output = T>,
    {
        unreachable!("`rt` drives the world; openraft calls this in its own tests only")
    }
}

/// A future with a deadline; when both are ready the future wins.
pub(super) struct Timeout<F> {
    sleep: Boxed<()>,
    future: Pin<Box<F>>,
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, Elapsed>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(value) = self.future.as_mut().poll(context) {
            return Poll::Ready(Ok(value));
        }
        self.sleep.as_mut().poll(context).map(|()| Err(Elapsed))
    }
}
