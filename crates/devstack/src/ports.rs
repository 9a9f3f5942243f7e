//! Ports on 127.0.0.1 that nobody uses.

use std::{
    net::{Ipv4Addr, TcpListener},
    process,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

/// Below the range from which kernels take the ports of outgoing connections: those would come and go under us.
const FIRST: u16 = 20_000;
const COUNT: u32 = 12_000;
const LOOKS: u32 = 6;
const PAUSE: Duration = Duration::from_millis(10);

/// The ports of a stack's servers. What is `None` gets a free one.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ports {
    pub postgres: Option<u16>,
    pub redis: Option<u16>,
    pub nats: Option<u16>,
}

/// A port that was free a moment ago. The same process is never given the same one twice.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        // Processes start far apart, so that test binaries that run side by side seldom meet.
        let offset = process::id().wrapping_mul(101).wrapping_add(step) % COUNT;
        let port = FIRST + u16::try_from(offset).expect("12,000 fits");
        if is_free(port) {
            return port;
        }
    }
}

/// Whether a server could listen on this port of 127.0.0.1 now.
#[expect(
    clippy::disallowed_methods,
    reason = "an instant, while no runtime serves anything yet"
)]
pub fn is_free(port: u16) -> bool {
    // Between fork and exec, a child that another thread starts holds the listener with which we have just looked.
    (0..LOOKS).any(|look| {
        std::thread::sleep(PAUSE * look);
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
    })
}
