//! The API as a pod reaches it: by TLS that only the cluster's own authority vouches for, with a token that changes.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use edge_gateway::{Finding, KubernetesApi};
use rcgen::{CertifiedKey, KeyPair};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::server::TlsStream;
use tokio_util::task::AbortOnDropHandle;

use super::api::FakeApi;
use super::{ADDRESS, answered_with, call_until, watched};
use crate::app::App;
use crate::replica::Replica;

struct TlsListener {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl axum::serve::Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = self.listener.accept().await.unwrap();
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// Serves until the handle is dropped.
async fn serve(api: &FakeApi, own: &CertifiedKey<KeyPair>) -> (SocketAddr, AbortOnDropHandle<()>) {
    let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let listener = TlsListener {
        listener,
        acceptor: TlsAcceptor::from(Arc::new(config)),
    };
    let router = api.router();
    let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (address, AbortOnDropHandle::new(task))
}

fn certificate() -> CertifiedKey<KeyPair> {
    rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap()
}

#[tokio::test]
async fn the_api_is_trusted_by_the_authority_of_the_account_and_gets_its_newest_token() {
    let (one, other) = (Replica::start().await, Replica::start().await);
    let api = FakeApi::default();
    api.put_replica("books-a", &one);
    api.require("first");
    let own = certificate();
    let (address, _serving) = serve(&api, &own).await;
    let account = tempfile::tempdir().unwrap();
    std::fs::write(account.path().join("ca.crt"), own.cert.pem()).unwrap();
    std::fs::write(account.path().join("token"), "first\n").unwrap();
    let finding = Finding {
        zone: None,
        kubernetes: Some(KubernetesApi {
            url: format!("https://{address}"),
            account: Some(account.path().to_owned()),
        }),
    };

    let app = App::start_library_at(ADDRESS, finding, "").await;
    answered_with(&app, 200).await;
    watched(&api).await;

    api.require("second");
    std::fs::write(account.path().join("token"), "second\n").unwrap();
    api.cut();
    api.put_replica("books-b", &other);
    call_until(&app, "the new one gets calls", || other.calls() > 0).await;
}

#[tokio::test]
async fn an_api_that_another_authority_vouches_for_is_not_asked() {
    let replica = Replica::start().await;
    let api = FakeApi::default();
    api.put_replica("books-a", &replica);
    let (address, _serving) = serve(&api, &certificate()).await;
    let account = tempfile::tempdir().unwrap();
    std::fs::write(account.path().join("ca.crt"), certificate().cert.pem()).unwrap();
    std::fs::write(account.path().join("token"), "secret").unwrap();
    let kubernetes = KubernetesApi {
        url: format!("https://{address}"),
        account: Some(account.path().to_owned()),
    };
    let finding = Finding {
        zone: None,
        kubernetes: Some(kubernetes),
    };

    let app = App::start_library_at(ADDRESS, finding, "").await;
    // Several attempts are made in this time.
    tokio::time::sleep(Duration::from_millis(500)).await;

    assert_eq!(app.get("/v1/books").send().await.unwrap().status(), 503);
    assert_eq!(api.lists(), 0);
}
