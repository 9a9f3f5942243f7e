//! The six programs: their names, and what each is told by its environment.

use std::path::Path;

use super::PlatformPorts;
use crate::{Devstack, keys, process::Launch, ready::Probe};

/// One of the six. Its binary has its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Program {
    pub name: &'static str,
    /// What its own variables begin with.
    prefix: &'static str,
    /// Its schema in Postgres, when it has one.
    pub schema: Option<&'static str>,
}

pub(crate) const EDGE: Program = Program {
    name: "edge-gateway",
    prefix: "EDGE",
    schema: None,
};

/// The edge, then the services in the order of their ports.
pub const PROGRAMS: [Program; 6] = [
    EDGE,
    Program {
        name: "svc-auth",
        prefix: "AUTH",
        schema: Some("auth"),
    },
    Program {
        name: "svc-bookmarks",
        prefix: "BOOKMARKS",
        schema: Some("bookmarks"),
    },
    Program {
        name: "svc-import",
        prefix: "IMPORT",
        schema: Some("imports"),
    },
    Program {
        name: "svc-task",
        prefix: "TASK",
        schema: Some("tasks"),
    },
    Program {
        name: "svc-enrich",
        prefix: "ENRICH",
        schema: Some("enrich"),
    },
];

/// Names and values for one process.
pub(crate) type Environment = Vec<(String, String)>;

impl Program {
    pub(crate) fn named(name: &str) -> Option<&'static Program> {
        PROGRAMS.iter().find(|program| program.name == name)
    }

    pub(crate) fn index(&self) -> usize {
        PROGRAMS
            .iter()
            .position(|program| program == self)
            .expect("a program is one of the six")
    }

    /// What the process is told to run.
    pub(crate) fn environment(&self, folder: &Path, ports: &PlatformPorts, stack: &Devstack) -> Environment {
        let mut environment = shared_environment(folder, ports, stack);
        let mut own = |name: &str, value: String| environment.push((format!("{}_{name}", self.prefix), value));
        own("LISTEN", format!("127.0.0.1:{}", ports.serving(self)));
        own("ADMIN_LISTEN", format!("127.0.0.1:{}", ports.admin(self)));
        own("SERVICE_KEY", text(&keys::private_key(&folder.join("keys"), self.name)));
        if let Some(schema) = self.schema {
            own("DATABASE_URL", stack.postgres_url(&format!("{schema}_app")));
        }
        match self.name {
            "svc-auth" => {
                own("MASTER_KEY", text(&keys::master_key(&folder.join("keys"))));
                own("MAIL_FOLDER", text(&folder.join("mail")));
                own("PUBLIC_URL", format!("http://127.0.0.1:{}", ports.edge()));
            }
            "svc-bookmarks" => own("INDEX_FOLDER", text(&folder.join("index"))),
            _ => {}
        }
        environment
    }

    /// What `<binary> migrate` is told besides: only it may act as the owner of the schema.
    pub(crate) fn migration_environment(&self, schema: &str, stack: &Devstack) -> Environment {
        let name = format!("{}_MIGRATION_DATABASE_URL", self.prefix);
        vec![(name, stack.postgres_url(&format!("{schema}_owner")))]
    }
}

/// How another instance beside the first is started: all that they must not share is its own.
pub(crate) fn second(program: &Program, first: Launch, folder: &Path, admin_port: u16) -> Launch {
    let name = format!("{}-2", first.name);
    let mut environment = first.environment.clone();
    let mut own = |variable: &str, value: String| environment.push((format!("{}_{variable}", program.prefix), value));
    own("ADMIN_LISTEN", format!("127.0.0.1:{admin_port}"));
    if program.name == "svc-bookmarks" {
        own("INDEX_FOLDER", text(&folder.join("index-2")));
    }
    Launch {
        environment,
        log: folder.join("log").join(format!("{name}.log")),
        pid_file: folder.join(format!("{name}.pid")),
        probe: Probe::Http {
            port: admin_port,
            path: "/health/ready",
        },
        name,
        ..first
    }
}

fn shared_environment(folder: &Path, ports: &PlatformPorts, stack: &Devstack) -> Environment {
    let mut environment = vec![
        ("BOOKMESH_NATS_URL".to_owned(), stack.nats_url()),
        ("BOOKMESH_REDIS_URL".to_owned(), stack.redis_url()),
        (
            "BOOKMESH_OBJECT_STORE_URL".to_owned(),
            format!("file://{}", text(&folder.join("objects"))),
        ),
        (
            "BOOKMESH_SERVICE_KEYS".to_owned(),
            text(&keys::public_keys(&folder.join("keys"))),
        ),
    ];
    for program in PROGRAMS.iter().filter(|program| **program != EDGE) {
        let address = format!("http://127.0.0.1:{}", ports.serving(program));
        environment.push((format!("BOOKMESH_{}_ADDRESS", program.prefix), address));
    }
    environment
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
