//! A gRPC server for any service: every RPC is a stream of bytes in and a stream of bytes out.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, BufMut, Bytes};
use futures::Stream;
use futures::future::BoxFuture;
use prost::Message;
use tonic::body::Body;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::{NamedService, StreamingService};
use tonic::{Request, Response, Status, Streaming};

pub type Answers = Pin<Box<dyn Stream<Item = Result<Bytes, Status>> + Send>>;
type Handler =
    Arc<dyn Fn(String, Request<Streaming<Bytes>>) -> BoxFuture<'static, Result<Answers, Status>> + Send + Sync>;

pub fn one(message: &impl Message) -> Answers {
    stream(futures::stream::iter([Ok(message.encode_to_vec().into())]))
}

pub fn stream(answers: impl Stream<Item = Result<Bytes, Status>> + Send + 'static) -> Answers {
    Box::pin(answers)
}

/// Serves the services of one package, each under its name.
#[derive(Clone)]
pub struct AnyService(Handler);

impl AnyService {
    pub fn new<F>(handler: impl Fn(String, Request<Streaming<Bytes>>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Answers, Status>> + Send + 'static,
    {
        Self(Arc::new(move |rpc, request| Box::pin(handler(rpc, request))))
    }
}

/// The service of both test contracts; tonic wants the name in the type.
#[derive(Clone)]
pub struct Named<const IS_GREETER: bool>(pub AnyService);

impl NamedService for Named<false> {
    const NAME: &'static str = "library.v1.LibraryService";
}

impl NamedService for Named<true> {
    const NAME: &'static str = "greeter.v1.GreeterService";
}

impl<const IS_GREETER: bool> tower::Service<http::Request<Body>> for Named<IS_GREETER> {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<http::Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let rpc = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
        let handler = self.0.clone();
        Box::pin(async move {
            Ok(tonic::server::Grpc::new(Raw)
                .streaming(OneRpc { rpc, handler }, request)
                .await)
        })
    }
}

struct OneRpc {
    rpc: String,
    handler: AnyService,
}

impl StreamingService<Bytes> for OneRpc {
    type Response = Bytes;
    type ResponseStream = Answers;
    type Future = BoxFuture<'static, Result<Response<Answers>, Status>>;

    fn call(&mut self, request: Request<Streaming<Bytes>>) -> Self::Future {
        let answers = (self.handler.0)(self.rpc.clone(), request);
        Box::pin(async move { Ok(Response::new(answers.await?)) })
    }
}

#[derive(Clone, Copy)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(message);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
