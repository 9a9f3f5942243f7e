//! Routes compiled from a test contract, looked up and read as an edge does it.

mod compile;
mod lookup;
mod request;
mod templates;

use prost_reflect::{DescriptorPool, DynamicMessage};
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};
use transcode::{Found, Match, Plans, Routes};

/// A compiled contract with its routes.
pub struct Contract {
    pub pool: DescriptorPool,
    pub plans: Plans,
    pub routes: Routes,
}

impl Contract {
    pub fn books() -> Self {
        Self::compile(include_str!("routes.proto")).expect("the test contract has no errors")
    }

    pub fn compile(source: &str) -> Result<Self, Vec<String>> {
        let pool = pool(source);
        let plans = Plans::compile(&pool);
        let routes = Routes::compile(&pool, &plans, |_| true)
            .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        Ok(Self { pool, plans, routes })
    }

    pub fn find<'p>(&self, method: &str, path: &'p str) -> Match<'_, 'p> {
        match self.routes.find(method, path) {
            Found::Route(found) => found,
            other => panic!("{method} {path} led to {other:?}"),
        }
    }

    /// The RPC's name, or what stands in its place.
    pub fn name(&self, method: &str, path: &str) -> String {
        match self.routes.find(method, path) {
            Found::Route(found) => found.route.rpc.name().to_owned(),
            Found::OtherMethods { allow } => format!("allow {allow}"),
            Found::Nothing => "nothing".to_owned(),
        }
    }

    /// What the service would get for a request.
    pub fn request(&self, method: &str, path: &str, query: &str, body: &str) -> Result<serde_json::Value, String> {
        let found = self.find(method, path);
        let mut wire = Vec::new();
        if !body.is_empty() {
            found
                .route
                .read_body(&self.plans, body.as_bytes(), &mut wire)
                .map_err(|error| error.to_string())?;
        }
        found
            .read_path(&self.plans, &mut wire)
            .map_err(|violation| violation.to_string())?;
        found
            .route
            .read_query(&self.plans, query, &mut wire)
            .map_err(|violations| {
                violations
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join("; ")
            })?;
        let message = DynamicMessage::decode(found.route.rpc.input(), wire.as_slice()).expect("wire is well-formed");
        Ok(serde_json::to_value(message).expect("message is JSON"))
    }
}

fn pool(source: &str) -> DescriptorPool {
    let mut resolver = ChainFileResolver::new();
    resolver.add(OneFile(source.to_owned()));
    resolver.add(protox::file::IncludeFileResolver::new(
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../proto").into(),
    ));
    resolver.add(GoogleFileResolver::new());
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler
        .include_imports(true)
        .open_file("test.proto")
        .expect("the test contract compiles");
    DescriptorPool::decode(compiler.encode_file_descriptor_set().as_slice()).expect("descriptors are consistent")
}

struct OneFile(String);

impl FileResolver for OneFile {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        if name == "test.proto" {
            File::from_source(name, &self.0)
        } else {
            Err(protox::Error::file_not_found(name))
        }
    }
}
