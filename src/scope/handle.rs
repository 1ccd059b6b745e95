//! [`ScopeHandle`]: other threads and tasks that work for a scope.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::meter::Tab;
use crate::scope::account::Account;
use crate::scope::stack::Ticket;
use crate::scope::terms::Terms;
use crate::scope::{Site, thread};
use crate::sys::counters;

/// Lets other threads and tasks work for a scope: what they hold counts in it, and in every scope around it, and their
/// [`checkpoint`](crate::checkpoint) fails when one of these has passed its limit.
///
/// Made by [`ScopeGuard::handle`](crate::ScopeGuard::handle) or [`ScopeHandle::current`]. It may outlive its scope: what is held
/// for it then still counts against the limit of whoever works for it, but is in no report.
///
/// ```
/// use plimsoll::{LimitExceeded, MemoryLimit, OnExceed, checkpoint};
///
/// # #[global_allocator] static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;
/// let scope = MemoryLimit::mib(4).on_exceed(OnExceed::Error).enter();
/// let handle = scope.handle();
/// let results: Vec<Result<Vec<u8>, LimitExceeded>> = std::thread::scope(|threads| {
///     let workers: Vec<_> = (0..4)
///         .map(|_| {
///             threads.spawn(|| {
///                 handle.attach(|| {
///                     let part = vec![1u8; 2 << 20];
///                     checkpoint()?; // 8 MiB in all are too much for the one scope
///                     Ok(part)
///                 })
///             })
///         })
///         .collect();
///     workers.into_iter().map(|worker| worker.join().unwrap()).collect()
/// });
/// assert!(results.iter().any(Result::is_err));
/// ```
#[derive(Clone)]
pub struct ScopeHandle {
    account: Arc<Account>,
}

impl ScopeHandle {
    pub(super) fn new(account: Arc<Account>) -> Self {
        ScopeHandle { account }
    }

    /// For a scope without a frame of its own: counts what is attached, against the same limit.
    #[cold]
    pub(super) fn alone(site: &'static Site, terms: Terms) -> Self {
        ScopeHandle::new(Arc::new(Account::new(site, terms, &[])))
    }

    /// A handle for the innermost scope that runs on this thread: a guard's, or in async code the limited future's that is being
    /// polled. `None` outside of any.
    ///
    /// ```
    /// use plimsoll::{MemoryLimit, ScopeHandle};
    ///
    /// # #[global_allocator] static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;
    /// assert!(ScopeHandle::current().is_none());
    /// let _scope = MemoryLimit::mib(1).named("request").enter();
    /// assert_eq!(ScopeHandle::current().unwrap().site().name(), "request");
    /// ```
    pub fn current() -> Option<Self> {
        let net_bytes = counters::now().net_bytes();
        thread::frames(|frames| frames.share_innermost(net_bytes)).map(ScopeHandle::new)
    }

    /// The scope's site.
    ///
    /// ```
    /// let scope = plimsoll::MemoryLimit::mib(1).named("request").enter();
    /// assert_eq!(scope.handle().site().name(), "request");
    /// ```
    pub fn site(&self) -> &'static Site {
        self.account.site
    }

    /// From now on what the scope holds fills `tab`; `false` when it fills another already.
    pub(crate) fn spend(&self, tab: Arc<Tab>) -> bool {
        self.account.spend(tab)
    }

    /// Runs `work` on this thread for the scope. On a thread that runs inside the scope anyway it just runs.
    ///
    /// ```
    /// # #[global_allocator] static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;
    /// let scope = plimsoll::MemoryLimit::mib(100).enter();
    /// let handle = scope.handle();
    /// let parsed = std::thread::spawn(move || handle.attach(|| "1 2 3".split(' ').count()));
    /// assert_eq!(parsed.join().unwrap(), 3);
    /// ```
    pub fn attach<R>(&self, work: impl FnOnce() -> R) -> R {
        let _attached = Attached::to(&self.account);
        work()
    }

    /// A future that runs for the scope: each of its polls, and its drop.
    ///
    /// ```
    /// # #[global_allocator] static ALLOCATOR: plimsoll::Jemalloc = plimsoll::Jemalloc;
    /// let scope = plimsoll::MemoryLimit::mib(100).enter();
    /// let child = scope.handle().attach_future(async { vec![1u8; 1 << 20] });
    /// // with tokio: tokio::spawn(child)
    /// assert_eq!(futures::executor::block_on(child).len(), 1 << 20);
    /// ```
    pub fn attach_future<F: Future>(&self, future: F) -> AttachedFuture<F> {
        AttachedFuture {
            future: Some(future),
            handle: self.clone(),
        }
    }
}

impl fmt::Debug for ScopeHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopeHandle")
            .field("site", self.account.site)
            .field("used_bytes", &self.account.used_bytes())
            .finish()
    }
}

/// This thread works for a scope, and for every scope around that, while this lives.
struct Attached<'a> {
    account: &'a Arc<Account>,
    /// Of the outermost frame that was pushed; the others follow it.
    first: Option<Ticket>,
    frames: u32,
    /// At least one of the scopes is open on this thread anyway.
    is_covered: bool,
    /// The first scope that found no room for a frame, and the thread's net at that moment.
    without_frame: Option<(usize, i64)>,
    _on_this_thread: PhantomData<*const ()>,
}

impl<'a> Attached<'a> {
    fn to(account: &'a Arc<Account>) -> Self {
        let mut attached = Attached {
            account,
            first: None,
            frames: 0,
            is_covered: false,
            without_frame: None,
            _on_this_thread: PhantomData,
        };
        attached.push_all();
        attached
    }

    /// The scope and those around it that have not ended, the outermost first, as on the thread where they were entered.
    fn scopes(&self) -> impl Iterator<Item = (usize, &'a Arc<Account>)> + use<'a> {
        let around = self.account.around.iter().enumerate();
        around
            .filter(|(_, account)| !account.is_over())
            .chain(std::iter::once((usize::MAX, self.account)))
    }

    fn push_all(&mut self) {
        for (number, account) in self.scopes() {
            let net_bytes = counters::now().net_bytes();
            match thread::frames(|frames| frames.attach(account, net_bytes)) {
                Ticket::COVERED => self.is_covered = true,
                Ticket::NONE => {
                    self.without_frame.get_or_insert((number, net_bytes));
                }
                ticket => {
                    self.first.get_or_insert(ticket);
                    self.frames += 1;
                }
            }
        }
    }

    /// What was done for scopes without a frame, at the end and in one sum.
    #[cold]
    fn post_alone(&self, first: usize, start_bytes: i64) {
        let gained_bytes = counters::now().net_bytes().wrapping_sub(start_bytes);
        for (_, account) in self.scopes().filter(|(number, _)| *number >= first) {
            if !thread::frames(|frames| frames.posts_to(account)) {
                account.post(gained_bytes);
            }
        }
    }
}

impl Drop for Attached<'_> {
    fn drop(&mut self) {
        if let Some((first, start_bytes)) = self.without_frame {
            self.post_alone(first, start_bytes);
        }
        if self.is_covered {
            let net_bytes = counters::now().net_bytes();
            thread::frames(|frames| frames.settle_orphans(net_bytes));
        }
        let Some(first) = self.first else { return };
        for n in (0..self.frames).rev() {
            let net_bytes = counters::now().net_bytes();
            // What this thread leaves behind stays in the account; only the scope's own end is a call of its site.
            drop(thread::frames(|frames| {
                frames.close(first.plus(n), net_bytes)
            }));
        }
        thread::at_edge();
    }
}

pin_project! {
    /// What [`ScopeHandle::attach_future`] returns.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct AttachedFuture<F> {
        #[pin]
        future: Option<F>,
        handle: ScopeHandle,
    }

    impl<F> PinnedDrop for AttachedFuture<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if this.future.is_some() {
                let _attached = Attached::to(&this.handle.account);
                this.future.set(None);
            }
        }
    }
}

impl<F: Future> Future for AttachedFuture<F> {
    type Output = F::Output;

    /// # Panics
    /// When polled after it was ready.
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        let _attached = Attached::to(&this.handle.account);
        let Some(future) = this.future.as_mut().as_pin_mut() else {
            panic!(
                "a future attached to {} was polled after it was ready",
                this.handle.site()
            );
        };
        let output = std::task::ready!(future.poll(context));
        // Dropped here, so that what it frees counts where it was allocated.
        this.future.set(None);
        Poll::Ready(output)
    }
}
