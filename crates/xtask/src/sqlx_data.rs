//! Keeping each crate's `.sqlx` in step with its queries and migrations. sqlx's macros write the files themselves when
//! they compile against a database, so no other tool is needed.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::SystemTime,
};

use anyhow::{Context, ensure};
use devstack::{Devstack, Ports, create_database, create_schema};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tempfile::TempDir;

use crate::run;

/// Names a server to use in place of a private one: `127.0.0.1:5432`.
const SERVER_VARIABLE: &str = "XTASK_POSTGRES";

/// A crate with queries, and the schema that they are written for. Shared crates live in the schemas of services, and for
/// their own queries in one of their own.
struct Queries {
    package: &'static str,
    folder: &'static str,
    schema: &'static str,
}

const OUTBOX: Queries = Queries {
    package: "outbox",
    folder: "crates/outbox",
    schema: "outbox",
};

const IDEMPOTENCY: Queries = Queries {
    package: "idempotency",
    folder: "crates/idempotency",
    schema: "idempotency",
};

const ERASURE: Queries = Queries {
    package: "erasure",
    folder: "crates/erasure",
    schema: "erasure",
};

const SHARED: [Queries; 3] = [OUTBOX, IDEMPOTENCY, ERASURE];

const CRATES: [Queries; 8] = [
    OUTBOX,
    IDEMPOTENCY,
    ERASURE,
    Queries {
        package: "svc-auth",
        folder: "svc-auth",
        schema: "auth",
    },
    Queries {
        package: "svc-bookmarks",
        folder: "svc-bookmarks",
        schema: "bookmarks",
    },
    Queries {
        package: "svc-import",
        folder: "svc-import",
        schema: "imports",
    },
    Queries {
        package: "svc-enrich",
        folder: "svc-enrich",
        schema: "enrich",
    },
    Queries {
        package: "svc-task",
        folder: "svc-task",
        schema: "tasks",
    },
];

impl Queries {
    fn is_shared(&self) -> bool {
        SHARED.iter().any(|shared| shared.package == self.package)
    }
}

/// The contents of a `.sqlx` folder by file name.
type QueryFiles = BTreeMap<String, String>;

/// Rewrites the `.sqlx` folders of the named packages, or of all.
pub(crate) async fn update(packages: &[String]) -> anyhow::Result<()> {
    let chosen = chosen(packages)?;
    let database = Database::start(&chosen).await?;
    for queries in chosen {
        let found = database.query_files(queries).await?;
        let changed = replace(&Path::new(queries.folder).join(".sqlx"), &found)?;
        println!("{}: {} in .sqlx, {changed} changed", queries.package, found.len());
    }
    database.stop().await
}

/// Fails when a `.sqlx` folder is not what [`update`] would write.
pub(crate) async fn verify() -> anyhow::Result<()> {
    let all: Vec<&Queries> = CRATES.iter().collect();
    let database = Database::start(&all).await?;
    let mut stale = Vec::new();
    for queries in all {
        let found = database.query_files(queries).await?;
        let committed = read(&Path::new(queries.folder).join(".sqlx"))?;
        let differing = differing(&committed, &found);
        if !differing.is_empty() {
            println!(
                "{}: missing, left over or changed: {}",
                queries.package,
                differing.join(", ")
            );
            stale.push(queries.package);
        }
    }
    database.stop().await?;
    ensure!(
        stale.is_empty(),
        "the .sqlx of {} is not in step; run `cargo xtask sqlx`",
        stale.join(", ")
    );
    Ok(())
}

fn chosen(packages: &[String]) -> anyhow::Result<Vec<&'static Queries>> {
    for package in packages {
        ensure!(
            CRATES.iter().any(|queries| queries.package == package),
            "{package} has no queries"
        );
    }
    Ok(CRATES
        .iter()
        .filter(|queries| packages.is_empty() || packages.iter().any(|package| package == queries.package))
        .collect())
}

/// A database of its own, with the schemas and migrations of the working tree.
struct Database {
    server: String,
    name: String,
    stack: Option<Devstack>,
}

impl Database {
    #[expect(clippy::disallowed_methods, reason = "a command-line tool is told by variables")]
    async fn start(crates: &[&Queries]) -> anyhow::Result<Database> {
        let name = format!("sqlx_{}", std::process::id());
        let database = match env::var(SERVER_VARIABLE) {
            Ok(server) => Database {
                server,
                name,
                stack: None,
            },
            Err(_) => {
                devstack::install()?;
                let stack = Devstack::start_temporary(Ports::default()).await?;
                Database {
                    server: stack.postgres_address(),
                    name,
                    stack: Some(stack),
                }
            }
        };
        create_database(&database.url("postgres", "postgres"), &database.name).await?;
        let admin_url = database.url("postgres", &database.name);
        for queries in crates {
            create_schema(&admin_url, queries.schema).await?;
            database.migrate(queries).await?;
        }
        Ok(database)
    }

    fn url(&self, role: &str, database: &str) -> String {
        format!("postgres://{role}@{}/{database}", self.server)
    }

    fn owner_url(&self, queries: &Queries) -> String {
        self.url(&format!("{}_owner", queries.schema), &self.name)
    }

    /// Each service's schema has the tables of the shared crates too, whether or not it uses them.
    async fn migrate(&self, queries: &Queries) -> anyhow::Result<()> {
        let mut connection = PgConnection::connect(&self.owner_url(queries)).await?;
        let mut files = Vec::new();
        for shared in SHARED {
            files.extend(migrations(shared.folder)?);
        }
        if !queries.is_shared() {
            files.extend(migrations(queries.folder)?);
        }
        for file in files {
            let statements = fs::read_to_string(&file)?;
            sqlx::raw_sql(AssertSqlSafe(statements))
                .execute(&mut connection)
                .await
                .with_context(|| format!("applying {} in the schema {}", file.display(), queries.schema))?;
        }
        connection.close().await.context("closing the connection")
    }

    /// Compiles the crate against the database, and returns what its macros wrote.
    async fn query_files(&self, queries: &Queries) -> anyhow::Result<QueryFiles> {
        let folder = TempDir::new().context("making a temporary folder")?;
        compile_dependencies(queries)?;
        let _touched = Touched::new(&Path::new(queries.folder).join("src/lib.rs"))?;
        let mut check = check_of(queries);
        check
            .env("SQLX_OFFLINE", "false")
            .env("SQLX_OFFLINE_DIR", folder.path())
            .env("DATABASE_URL", self.owner_url(queries));
        run::run(&mut check)?;
        read(folder.path())
    }

    async fn stop(self) -> anyhow::Result<()> {
        if let Some(stack) = self.stack {
            stack.stop().await;
            return Ok(());
        }
        let mut connection = PgConnection::connect(&self.url("postgres", "postgres")).await?;
        let statement = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        sqlx::raw_sql(AssertSqlSafe(statement))
            .execute(&mut connection)
            .await
            .context("dropping the database")?;
        connection.close().await.context("closing the connection")
    }
}

/// Services are chosen by binary: with `--package`, what they stand on would be compiled again for each choice.
fn check_of(queries: &Queries) -> Command {
    if queries.is_shared() {
        run::cargo(&["check", "--quiet", "--package", queries.package])
    } else {
        run::cargo(&["check", "--quiet", "--bin", queries.package])
    }
}

/// Otherwise the queries of the crates below would be written among this crate's. The crate itself may not compile yet:
/// its queries may be new, which is why we are here.
fn compile_dependencies(queries: &Queries) -> anyhow::Result<()> {
    println!("compiling what {} depends on", queries.package);
    check_of(queries)
        .env("SQLX_OFFLINE", "true")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .with_context(|| format!("compiling what {} depends on", queries.package))?;
    Ok(())
}

/// A source file that looks changed, so that cargo compiles its crate again: it does not know that the macros have
/// something to write. The old time comes back in the end, so that nobody else compiles for it.
struct Touched {
    file: File,
    before: SystemTime,
}

impl Touched {
    #[expect(clippy::disallowed_methods, reason = "the time of a file is the real one")]
    fn new(source: &Path) -> anyhow::Result<Touched> {
        let open = || {
            let file = File::options().append(true).open(source)?;
            let before = file.metadata()?.modified()?;
            file.set_modified(SystemTime::now())?;
            Ok::<_, std::io::Error>(Touched { file, before })
        };
        open().with_context(|| format!("touching {}", source.display()))
    }
}

impl Drop for Touched {
    fn drop(&mut self) {
        // A file that stays touched is compiled once more, no worse.
        let _ = self.file.set_modified(self.before);
    }
}

/// In the order of their names, as sqlx applies them.
fn migrations(folder: &str) -> anyhow::Result<Vec<PathBuf>> {
    let Ok(entries) = Path::new(folder).join("migrations").read_dir() else {
        return Ok(Vec::new());
    };
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .with_context(|| format!("reading the migrations of {folder}"))?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "sql"));
    files.sort();
    Ok(files)
}

fn read(folder: &Path) -> anyhow::Result<QueryFiles> {
    let Ok(entries) = folder.read_dir() else {
        return Ok(QueryFiles::new());
    };
    let mut files = QueryFiles::new();
    for entry in entries {
        let entry = entry?;
        files.insert(
            entry.file_name().to_string_lossy().into_owned(),
            fs::read_to_string(entry.path())?,
        );
    }
    Ok(files)
}

/// The names of the files that one has and the other has not, or not so.
fn differing<'a>(committed: &'a QueryFiles, found: &'a QueryFiles) -> Vec<&'a str> {
    let names: BTreeSet<&String> = committed.keys().chain(found.keys()).collect();
    names
        .into_iter()
        .filter(|name| committed.get(*name) != found.get(*name))
        .map(String::as_str)
        .collect()
}

/// Makes `folder` hold `wanted` and nothing else; returns how many files were written or removed.
fn replace(folder: &Path, wanted: &QueryFiles) -> anyhow::Result<usize> {
    let present = read(folder)?;
    let mut changed = 0;
    for name in present.keys().filter(|name| !wanted.contains_key(*name)) {
        fs::remove_file(folder.join(name))?;
        changed += 1;
    }
    if !wanted.is_empty() {
        fs::create_dir_all(folder)?;
    }
    for (name, contents) in wanted
        .iter()
        .filter(|(name, contents)| present.get(*name) != Some(contents))
    {
        fs::write(folder.join(name), contents)?;
        changed += 1;
    }
    Ok(changed)
}
