//! One fact each, and no policy: what the kernel, the host and the allocator say.

#[cfg(target_os = "linux")]
pub(crate) mod cgroup;
#[cfg(not(target_os = "linux"))]
#[path = "reading/no_cgroup.rs"]
pub(crate) mod cgroup;
pub(crate) mod heap;
#[cfg(target_os = "linux")]
mod held;
pub(crate) mod host;
#[cfg(target_os = "linux")]
pub(crate) mod notice;
pub(crate) mod process;
#[cfg(target_os = "linux")]
pub(crate) mod psi;
