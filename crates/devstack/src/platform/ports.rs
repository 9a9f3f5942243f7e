//! Where the six processes listen.

use anyhow::ensure;

use super::programs::{EDGE, PROGRAMS, Program};
use crate::{Ports, free_port, is_free};

/// The port of each process, in the order of [`PROGRAMS`], and those of the stores.
#[derive(Debug, Clone)]
pub struct PlatformPorts {
    serving: [u16; 6],
    admin: [u16; 6],
    pub(crate) stores: Ports,
}

impl PlatformPorts {
    /// Ports that nobody uses.
    pub fn free() -> PlatformPorts {
        PlatformPorts {
            serving: [(); 6].map(|()| free_port()),
            admin: [(); 6].map(|()| free_port()),
            stores: Ports::default(),
        }
    }

    /// The edge on `edge`, the services from `services` up, the admin ports from `admin` up, the edge's first.
    pub fn counted(edge: u16, services: u16, admin: u16) -> PlatformPorts {
        let steps: [u16; 6] = [0, 1, 2, 3, 4, 5];
        PlatformPorts {
            serving: steps.map(|step| if step == 0 { edge } else { services + step - 1 }),
            admin: steps.map(|step| admin + step),
            stores: Ports::default(),
        }
    }

    /// An error that names each port that somebody else listens on.
    pub fn check_free(&self) -> anyhow::Result<()> {
        let ports = self
            .serving
            .iter()
            .chain(&self.admin)
            .zip(PROGRAMS.iter().chain(&PROGRAMS));
        let taken: Vec<String> = ports
            .filter(|(port, _)| !is_free(**port))
            .map(|(port, program)| format!("port {port} for {} is in use", program.name))
            .collect();
        ensure!(taken.is_empty(), "{}", taken.join("\n"));
        Ok(())
    }

    pub(crate) fn edge(&self) -> u16 {
        self.serving(&EDGE)
    }

    pub(crate) fn serving(&self, program: &Program) -> u16 {
        self.serving[program.index()]
    }

    pub(crate) fn admin(&self, program: &Program) -> u16 {
        self.admin[program.index()]
    }
}
