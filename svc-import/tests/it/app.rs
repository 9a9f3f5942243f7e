//! The services that an import needs, and users of them.

use std::{sync::OnceLock, time::Duration};

use bookmesh_proto::{
    bookmarks::v1::{Bookmark, ListBookmarksRequest, bookmark_service_client::BookmarkServiceClient},
    google::api::HttpBody,
    imports::v1::{
        CreateImportRequest, GetImportRequest, Import, ImportRow, ListImportRowsRequest, ListImportsRequest,
        ListImportsResponse, import::State, import_service_client::ImportServiceClient,
    },
    task::v1::{CancelTaskRequest, GetTaskRequest, Task, task_service_client::TaskServiceClient},
};
use devstack::TestDatabase;
use service::testing::TestIssuer;
use sqlx::{Connection, PgConnection};
use svc_import::Limits;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};
use tokio_stream::StreamExt;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Status, transport::Channel};
use url::Url;
use uuid::Uuid;

use crate::process::Process;

const PATIENCE: Duration = Duration::from_secs(60);
const CHUNK_BYTES: usize = 16 * 1024;

pub const LIMITS: Limits = Limits {
    max_bytes: 8_000_000,
    max_rows: 20_000,
    max_unfinished: 3,
    workers: 2,
};

static SHARED: OnceLock<App> = OnceLock::new();

pub struct App {
    issuer: TestIssuer,
    nats_url: String,
    imports: TestDatabase,
    bookmarks: TestDatabase,
    tasks: TestDatabase,
    pub folder: TempDir,
    bookmarks_process: Process,
    task_port: u16,
    task_process: Option<Process>,
    import_process: Option<Process>,
}

impl App {
    /// The app of all tests that break nothing. Jobs and events go by one NATS, so there can be one only.
    pub async fn shared() -> &'static App {
        let nats_url = devstack::shared().await.nats_url();
        let start = move || SHARED.get_or_init(|| block_on(App::start(nats_url)));
        tokio::task::spawn_blocking(start).await.expect("the services start")
    }

    /// Everything, with a NATS of its own.
    pub async fn start(nats_url: String) -> App {
        let mut app = App::start_without_import_and_task(nats_url).await;
        app.start_task();
        app.start_import();
        app
    }

    pub async fn start_without_import_and_task(nats_url: String) -> App {
        let issuer = TestIssuer::new();
        let folder = TempDir::new().expect("a folder is made");
        let imports = devstack::fresh_database("imports").await;
        let bookmarks = devstack::fresh_database("bookmarks").await;
        let tasks = devstack::fresh_database("tasks").await;
        svc_import::migrate(&imports.owner_url)
            .await
            .expect("the schema of svc-import is made");
        svc_bookmarks::migrate(&bookmarks.owner_url)
            .await
            .expect("the schema of svc-bookmarks is made");
        svc_task::migrate(&tasks.owner_url)
            .await
            .expect("the schema of svc-task is made");
        let bookmarks_process = start_bookmarks(&issuer, &bookmarks, &nats_url, &folder);
        let task_port = devstack::free_port();
        App {
            issuer,
            nats_url,
            imports,
            bookmarks,
            tasks,
            folder,
            bookmarks_process,
            task_port,
            task_process: None,
            import_process: None,
        }
    }

    pub fn start_task(&mut self) {
        let config = svc_task::Config {
            service: self.issuer.service_config(),
            signer: self.issuer.signer("svc-task"),
            auth_address: "http://127.0.0.1:1".to_owned(),
            database_url: self.tasks.app_url.clone().into(),
            database_max_connections: 5,
            nats_url: self.nats_url.clone(),
        };
        let verifier = self.issuer.verifier("svc-task");
        let run = |listener| svc_task::run_with(config, verifier, listener, CancellationToken::new());
        self.task_process = Some(Process::start_on(self.task_port, run));
    }

    pub fn start_import(&mut self) {
        self.start_import_with(LIMITS);
    }

    pub fn start_import_with(&mut self, limits: Limits) {
        let object_store_url = Url::from_directory_path(self.folder.path()).expect("the path is absolute");
        let config = svc_import::Config {
            service: self.issuer.service_config(),
            database_url: self.imports.app_url.clone().into(),
            database_max_connections: 5,
            nats_url: self.nats_url.clone(),
            object_store_url,
            signer: self.issuer.signer("svc-import"),
            auth_address: "http://127.0.0.1:1".to_owned(),
            bookmarks_address: self.bookmarks_process.url(),
            task_address: self.task_url(),
            limits,
        };
        let verifier = self.issuer.verifier("svc-import");
        let run = |listener| svc_import::run_with(config, verifier, listener, CancellationToken::new());
        self.import_process = Some(Process::start(run));
    }

    pub fn kill_import(&mut self) {
        self.import_process.take().expect("svc-import runs").kill();
    }

    pub fn user(&self) -> User<'_> {
        let id = Uuid::now_v7();
        User {
            app: self,
            id,
            token: self.issuer.access_token(id),
        }
    }

    /// A user from before, whatever has been restarted since.
    pub fn user_with(&self, credentials: &Credentials) -> User<'_> {
        User {
            app: self,
            id: credentials.id,
            token: credentials.token.clone(),
        }
    }

    /// As the superuser: holds an import so that nobody can write to it until the connection is dropped.
    pub async fn hold_import(&self, id: &str) -> PgConnection {
        let mut connection = PgConnection::connect(&self.imports.admin_url).await.unwrap();
        let id: Uuid = id.parse().unwrap();
        sqlx::query("BEGIN").execute(&mut connection).await.unwrap();
        sqlx::query("SELECT 1 FROM imports.imports WHERE id = $1 FOR UPDATE")
            .bind(id)
            .execute(&mut connection)
            .await
            .unwrap();
        connection
    }

    /// As the superuser: holds all new imports until the connection is dropped.
    pub async fn hold_inserts(&self) -> PgConnection {
        let mut connection = PgConnection::connect(&self.imports.admin_url).await.unwrap();
        sqlx::raw_sql("BEGIN; LOCK TABLE imports.imports IN SHARE MODE")
            .execute(&mut connection)
            .await
            .unwrap();
        connection
    }

    /// As the superuser: how many bookmarks there are of an owner.
    pub async fn count_bookmarks(&self, owner: Uuid) -> i64 {
        let mut connection = PgConnection::connect(&self.bookmarks.admin_url).await.unwrap();
        sqlx::query_scalar("SELECT count(*) FROM bookmarks.bookmarks WHERE owner_id = $1")
            .bind(owner)
            .fetch_one(&mut connection)
            .await
            .unwrap()
    }

    fn task_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.task_port)
    }

    pub fn import_url(&self) -> String {
        self.import_process.as_ref().expect("svc-import runs").url()
    }
}

fn start_bookmarks(issuer: &TestIssuer, database: &TestDatabase, nats_url: &str, folder: &TempDir) -> Process {
    let config = svc_bookmarks::Config {
        service: issuer.service_config(),
        signer: issuer.signer("svc-bookmarks"),
        auth_address: "http://127.0.0.1:1".to_owned(),
        database_url: database.app_url.clone().into(),
        database_max_connections: 5,
        nats_url: nats_url.to_owned(),
        index_folder: folder.path().join("index"),
    };
    let verifier = issuer.verifier("svc-bookmarks");
    Process::start(|listener| svc_bookmarks::run_with(config, verifier, listener, CancellationToken::new()))
}

/// Somebody with bookmarks.
#[derive(Clone)]
pub struct User<'a> {
    app: &'a App,
    pub id: Uuid,
    token: String,
}

/// Who a user is, apart from the services.
pub struct Credentials {
    id: Uuid,
    token: String,
}

impl User<'_> {
    pub fn clone_credentials(&self) -> Credentials {
        Credentials {
            id: self.id,
            token: self.token.clone(),
        }
    }

    pub fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request
            .metadata_mut()
            .insert("authorization", format!("Bearer {}", self.token).parse().unwrap());
        request
    }

    pub async fn imports(&self) -> ImportServiceClient<Channel> {
        ImportServiceClient::new(channel(self.app.import_url()))
    }

    pub async fn upload(&self, file: impl AsRef<[u8]>) -> Result<Import, Status> {
        self.upload_named("bookmarks.html", file).await
    }

    /// The same request id is the same upload.
    pub async fn upload_once(&self, request_id: &str, file: impl AsRef<[u8]>) -> Result<Import, Status> {
        let mut messages = messages("bookmarks.html", file.as_ref());
        messages[0].request_id = request_id.to_owned();
        let request = self.request(tokio_stream::iter(messages));
        Ok(self.imports().await.create_import(request).await?.into_inner())
    }

    pub async fn upload_named(&self, name: &str, file: impl AsRef<[u8]>) -> Result<Import, Status> {
        let messages = tokio_stream::iter(messages(name, file.as_ref()));
        Ok(self
            .imports()
            .await
            .create_import(self.request(messages))
            .await?
            .into_inner())
    }

    pub async fn import(&self, id: &str) -> Result<Import, Status> {
        let request = GetImportRequest { id: id.to_owned() };
        Ok(self
            .imports()
            .await
            .get_import(self.request(request))
            .await?
            .into_inner())
    }

    pub async fn list(&self, page_size: i32, page_token: &str) -> Result<ListImportsResponse, Status> {
        let request = ListImportsRequest {
            page_size,
            page_token: page_token.to_owned(),
        };
        Ok(self
            .imports()
            .await
            .list_imports(self.request(request))
            .await?
            .into_inner())
    }

    pub async fn rows(&self, id: &str) -> Vec<ImportRow> {
        let request = ListImportRowsRequest {
            id: id.to_owned(),
            page_size: 1_000,
            ..Default::default()
        };
        self.imports()
            .await
            .list_import_rows(self.request(request))
            .await
            .unwrap()
            .into_inner()
            .rows
    }

    /// Uploads and waits for the end.
    pub async fn import_file(&self, file: impl AsRef<[u8]>) -> Import {
        let import = self.upload(file).await.unwrap();
        self.wait_for_end(&import.id).await
    }

    pub async fn wait_for_end(&self, id: &str) -> Import {
        self.wait_until(id, |import| !matches!(import.state(), State::Queued | State::Running))
            .await
    }

    pub async fn wait_until(&self, id: &str, enough: impl Fn(&Import) -> bool) -> Import {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let import = self.import(id).await.unwrap();
            if enough(&import) {
                return import;
            }
            assert!(Instant::now() < deadline, "waited too long: {import:?}");
            sleep(Duration::from_millis(50)).await;
        }
    }

    pub async fn task(&self, id: &str) -> Task {
        let request = self.request(GetTaskRequest { id: id.to_owned() });
        self.tasks().get_task(request).await.unwrap().into_inner()
    }

    pub async fn cancel_task(&self, id: &str) -> Task {
        let request = self.request(CancelTaskRequest { id: id.to_owned() });
        self.tasks().cancel_task(request).await.unwrap().into_inner()
    }

    /// Waits: an import ends a moment before its task.
    pub async fn wait_for_task(&self, id: &str, state: bookmesh_proto::task::v1::task::State) -> Task {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let task = self.task(id).await;
            if task.state() == state {
                return task;
            }
            assert!(Instant::now() < deadline, "waited too long: {task:?}");
            sleep(Duration::from_millis(50)).await;
        }
    }

    pub async fn bookmarks(&self) -> Vec<Bookmark> {
        let mut client = BookmarkServiceClient::new(channel(self.app.bookmarks_process.url()));
        let request = ListBookmarksRequest {
            page_size: 200,
            ..Default::default()
        };
        client
            .list_bookmarks(self.request(request))
            .await
            .unwrap()
            .into_inner()
            .bookmarks
    }

    pub async fn count_bookmarks(&self) -> i64 {
        self.app.count_bookmarks(self.id).await
    }

    fn tasks(&self) -> TaskServiceClient<Channel> {
        TaskServiceClient::new(channel(self.app.task_url()))
    }
}

/// An upload that breaks off after its first part.
pub fn broken_upload(file: &[u8]) -> impl tokio_stream::Stream<Item = CreateImportRequest> + use<> {
    let first = messages("half.html", file).remove(0);
    tokio_stream::iter([first]).chain(tokio_stream::pending())
}

pub fn messages(name: &str, file: &[u8]) -> Vec<CreateImportRequest> {
    let mut messages = vec![CreateImportRequest {
        file_name: name.to_owned(),
        file: Some(HttpBody::default()),
        request_id: String::new(),
    }];
    for chunk in file.chunks(CHUNK_BYTES) {
        let body = HttpBody {
            data: chunk.to_vec().into(),
            ..Default::default()
        };
        messages.push(CreateImportRequest {
            file: Some(body),
            ..CreateImportRequest::default()
        });
    }
    messages
}

/// A bookmark file with this many links, in folders of a hundred.
pub fn generated_file(links: usize) -> String {
    let mut file = "<!DOCTYPE NETSCAPE-Bookmark-file-1>\n<DL><p>\n".to_owned();
    for number in 0..links {
        if number % 100 == 0 {
            let close = if number == 0 { "" } else { "</DL><p>\n" };
            file.push_str(&format!("{close}<DT><H3>Folder {}</H3>\n<DL><p>\n", number / 100));
        }
        let link = format!(
            "<DT><A HREF=\"https://example.com/{number}\" TAGS=\"tag{}\">Link {number}</A>\n",
            number % 7
        );
        file.push_str(&link);
    }
    file + "</DL><p>\n</DL><p>\n"
}

fn channel(url: String) -> Channel {
    Channel::from_shared(url).unwrap().connect_lazy()
}

fn block_on<T: Send>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}
