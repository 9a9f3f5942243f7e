//! One of several processes of the test service: it counts its calls, and can be killed and started again.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Code, Status};

use crate::library::{self, Seen};
use crate::server::{AnyService, Named};

/// Lives in a runtime of its own, so that killing it closes its port and its connections at once, as the end of a process does.
pub struct Replica {
    pub address: SocketAddr,
    pub behaviour: Arc<Behaviour>,
    runtime: Mutex<Option<Runtime>>,
}

pub struct Behaviour {
    /// Calls that have come in.
    pub calls: AtomicUsize,
    /// What every call is answered with, when it is not answered as the library does.
    pub refusal: Mutex<Option<Code>>,
    /// A call is answered when it gets one of these; there are plenty at first.
    permits: Semaphore,
}

impl Replica {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let behaviour = Arc::new(Behaviour {
            calls: AtomicUsize::new(0),
            refusal: Mutex::new(None),
            permits: Semaphore::new(Semaphore::MAX_PERMITS / 2),
        });
        let replica = Self {
            address: listener.local_addr().unwrap(),
            behaviour,
            runtime: Mutex::new(None),
        };
        replica.serve(listener.into_std().unwrap());
        replica
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn calls(&self) -> usize {
        self.behaviour.calls.load(Ordering::SeqCst)
    }

    pub fn refuse_with(&self, code: Code) {
        *self.behaviour.refusal.lock().unwrap() = Some(code);
    }

    /// No call is answered from now on.
    pub fn hold(&self) {
        self.behaviour.permits.forget_permits(usize::MAX);
    }

    /// So many calls are answered from now on.
    pub fn release(&self, calls: usize) {
        self.behaviour.permits.add_permits(calls);
    }

    pub fn kill(&self) {
        let runtime = self.runtime.lock().unwrap().take().unwrap();
        runtime.shutdown_background();
    }

    /// On the same port as before.
    pub async fn start_again(&self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.serve(listener.into_std().unwrap());
    }

    fn serve(&self, listener: std::net::TcpListener) {
        let behaviour = Arc::clone(&self.behaviour);
        let library = AnyService::new(move |rpc, request| {
            let behaviour = Arc::clone(&behaviour);
            async move {
                behaviour.calls.fetch_add(1, Ordering::SeqCst);
                let refusal = *behaviour.refusal.lock().unwrap();
                if let Some(code) = refusal {
                    return Err(Status::new(code, "refused"));
                }
                behaviour.permits.acquire().await.unwrap().forget();
                library::call(Arc::new(Seen::default()), &rpc, request).await
            }
        });
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        runtime.spawn(async move {
            let (health, health_service) = tonic_health::server::health_reporter();
            health
                .set_service_status("", tonic_health::ServingStatus::Serving)
                .await;
            let listener = TcpListener::from_std(listener).unwrap();
            tonic::transport::Server::builder()
                .add_service(Named::<false>(library))
                .add_service(health_service)
                .serve_with_incoming(TcpListenerStream::new(listener))
                .await
                .unwrap();
        });
        *self.runtime.lock().unwrap() = Some(runtime);
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.lock().unwrap().take() {
            runtime.shutdown_background();
        }
    }
}
