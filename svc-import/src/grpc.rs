//! The RPCs of ImportService.

mod convert;

use bookmesh_proto::imports::v1::{
    CreateImportRequest, GetImportRequest, Import as ImportMessage, ListImportRowsRequest, ListImportRowsResponse,
    ListImportsRequest, ListImportsResponse, import_service_server::ImportService,
};
use service::{caller, id, page, postgres, status};
use sqlx::PgPool;
use tonic::{Request, Response, Status, Streaming};
use tracing::Instrument;
use uuid::Uuid;

use crate::{
    Limits,
    domain::{Import, Outcome},
    objects::Objects,
    store,
    tasks::Tasks,
    upload,
};

pub(crate) use self::convert::to_proto;

const RESOURCE: &str = "import";

#[derive(Clone)]
pub(crate) struct Imports {
    pub(crate) pool: PgPool,
    pub(crate) objects: Objects,
    pub(crate) tasks: Tasks,
    pub(crate) limits: Limits,
}

#[tonic::async_trait]
impl ImportService for Imports {
    async fn create_import(
        &self,
        request: Request<Streaming<CreateImportRequest>>,
    ) -> Result<Response<ImportMessage>, Status> {
        let owner = caller::owner(&request)?;
        self.check_unfinished(owner).await?;

        let file = upload::receive(&self.objects, owner, request.into_inner(), self.limits.max_bytes).await?;
        // A task of its own: a caller who hangs up now must leave no file behind that nobody imports.
        let imports = self.clone();
        let finish = async move { imports.finish_upload(owner, file).await };
        let finished = tokio::spawn(finish.in_current_span()).await;
        let import = finished.map_err(|error| {
            tracing::error!(error = %error, "an upload was lost");
            Status::internal("internal error")
        })??;
        Ok(Response::new(import))
    }

    async fn get_import(&self, request: Request<GetImportRequest>) -> Result<Response<ImportMessage>, Status> {
        let owner = caller::owner(&request)?;
        let id = id::parse_name(RESOURCE, &request.get_ref().id)?;

        let import = self.find(owner, id).await?;

        Ok(Response::new(to_proto(&import)))
    }

    async fn list_imports(
        &self,
        request: Request<ListImportsRequest>,
    ) -> Result<Response<ListImportsResponse>, Status> {
        let owner = caller::owner(&request)?;
        let request = request.into_inner();
        let query = ["imports", &owner.to_string()];
        let size = page::page_size(request.page_size, 20, 200)?;
        let before: Option<Uuid> = page::decode(&request.page_token, &query)?;

        let mut transaction = postgres::begin(&self.pool, owner).await.map_err(postgres::status)?;
        let found = store::list(&mut transaction, owner, before, size + 1)
            .await
            .map_err(postgres::status)?;
        transaction.commit().await.map_err(postgres::status)?;

        let (imports, next_page_token) = cut_page(found, size, &query, |import| import.id);
        Ok(Response::new(ListImportsResponse {
            imports: imports.iter().map(to_proto).collect(),
            next_page_token,
        }))
    }

    async fn list_import_rows(
        &self,
        request: Request<ListImportRowsRequest>,
    ) -> Result<Response<ListImportRowsResponse>, Status> {
        let owner = caller::owner(&request)?;
        let request = request.into_inner();
        let id = id::parse_name(RESOURCE, &request.id)?;
        let outcome = convert::outcome_filter(request.outcome)?;
        let query = [
            "import_rows",
            &id.to_string(),
            outcome.map_or("", |outcome| outcome.as_str_name()),
        ];
        let size = page::page_size(request.page_size, 100, 1_000)?;
        let after: Option<i32> = page::decode(&request.page_token, &query)?;

        self.find(owner, id).await?;
        let found = self
            .rows(owner, id, outcome, after, size + 1)
            .await
            .map_err(postgres::status)?;

        let (rows, next_page_token) = cut_page(found, size, &query, |row| row.number);
        let rows = rows
            .into_iter()
            .map(|numbered| convert::row_to_proto(numbered.row))
            .collect();
        Ok(Response::new(ListImportRowsResponse { rows, next_page_token }))
    }
}

impl Imports {
    async fn finish_upload(&self, owner: Uuid, file: upload::Received) -> Result<ImportMessage, Status> {
        let received = file.finish().await?;
        let begun = self.begin_import(owner, &received).await;
        let is_unneeded = match &begun {
            Ok(import) => import.id != received.import_id.to_string(),
            // Nobody's any more: the account was deleted while the file came in.
            Err(idempotency::Error::Database(error)) if postgres::is_owner_deleted(error) => true,
            // It may have been committed all the same; what nobody needs goes with old files.
            Err(idempotency::Error::Database(_)) => false,
            Err(_) => true,
        };
        if is_unneeded {
            received.discard(&self.objects).await;
        }
        Ok(begun?)
    }

    /// The import of these bytes: a new one, the one that is under way with the same, or the one that the caller was
    /// answered before under the same name.
    async fn begin_import(&self, owner: Uuid, received: &upload::Stored) -> Result<ImportMessage, idempotency::Error> {
        let mut transaction = postgres::begin(&self.pool, owner).await?;
        if let Some(named) = &received.named
            && let Some(answer) = named.begin(&mut transaction).await?
        {
            return Ok(answer);
        }
        let now = service::clock::now();
        let inserted = store::insert(&mut transaction, &received.new_import(id::generate()), now).await?;
        let is_new = inserted.is_some();
        let import = match inserted {
            Some(import) => Some(import),
            None => store::unfinished_with_file(&mut transaction, owner, &received.sha256).await?,
        };
        let Some(import) = import else {
            // It ended between the two statements: then this upload is a new import after all.
            transaction.rollback().await?;
            return Box::pin(self.begin_import(owner, received)).await;
        };
        let answer = to_proto(&import);
        if let Some(named) = &received.named {
            named.keep(&mut transaction, &answer).await?;
        }
        transaction.commit().await?;
        if is_new {
            self.create_task(&import).await;
        }
        Ok(answer)
    }

    /// The sweeper makes the task later if svc-task cannot be asked now.
    async fn create_task(&self, import: &Import) {
        let task = store::tasks::ImportTask {
            task_id: import.task_id,
            import_id: import.id,
            owner_id: import.owner_id,
        };
        if let Err(error) = crate::sweeper::create_task(&self.pool, &self.tasks, task).await {
            tracing::warn!(error = format!("{error:#}"), import.id = %import.id, "the task will be made later");
        }
    }

    async fn check_unfinished(&self, owner: Uuid) -> Result<(), Status> {
        let mut transaction = postgres::begin(&self.pool, owner).await.map_err(postgres::status)?;
        let unfinished = store::count_unfinished(&mut transaction, owner)
            .await
            .map_err(postgres::status)?;
        transaction.commit().await.map_err(postgres::status)?;
        if unfinished < self.limits.max_unfinished {
            return Ok(());
        }
        let message = format!("{unfinished} imports are unfinished; wait for one of them to end");
        Err(status::with_reason(
            tonic::Code::ResourceExhausted,
            "TOO_MANY_IMPORTS",
            message,
            &[],
        ))
    }

    async fn find(&self, owner: Uuid, id: Uuid) -> Result<Import, Status> {
        let mut transaction = postgres::begin(&self.pool, owner).await.map_err(postgres::status)?;
        let import = store::get(&mut transaction, owner, id)
            .await
            .map_err(postgres::status)?;
        transaction.commit().await.map_err(postgres::status)?;
        import.ok_or_else(|| status::not_found(RESOURCE))
    }

    async fn rows(
        &self,
        owner: Uuid,
        import: Uuid,
        outcome: Option<Outcome>,
        after: Option<i32>,
        limit: i64,
    ) -> sqlx::Result<Vec<store::rows::NumberedRow>> {
        let mut transaction = postgres::begin(&self.pool, owner).await?;
        let rows = store::rows::list(&mut transaction, owner, import, outcome, after, limit).await?;
        transaction.commit().await?;
        Ok(rows)
    }
}

/// One more than the page was asked for: what is beyond tells that there is a next page.
fn cut_page<T, C: serde::Serialize>(
    mut found: Vec<T>,
    size: i64,
    query: &[&str],
    cursor: impl Fn(&T) -> C,
) -> (Vec<T>, String) {
    let size = usize::try_from(size).expect("a page size is positive");
    let more = found.len() > size;
    found.truncate(size);
    let token = found
        .last()
        .filter(|_| more)
        .map(|last| page::encode(query, &cursor(last)));
    (found, token.unwrap_or_default())
}
