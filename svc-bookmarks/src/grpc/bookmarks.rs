//! BookmarkService: each RPC leads to its own file.

use bookmesh_proto::bookmarks::v1::{
    Bookmark, CreateBookmarkRequest, DeleteBookmarkRequest, GetBookmarkRequest, ListBookmarksRequest,
    ListBookmarksResponse, ListCollectionsRequest, ListCollectionsResponse, ListTagsRequest, ListTagsResponse,
    UpdateBookmarkRequest, bookmark_service_server::BookmarkService,
};
use service::{caller, id};
use tonic::{Request, Response, Status};

use crate::{error::Error, grpc::Bookmarks, store};

#[tonic::async_trait]
impl BookmarkService for Bookmarks {
    async fn create_bookmark(&self, request: Request<CreateBookmarkRequest>) -> Result<Response<Bookmark>, Status> {
        let owner = caller::owner(&request)?;
        Ok(Response::new(self.create(owner, request.into_inner()).await?))
    }

    async fn get_bookmark(&self, request: Request<GetBookmarkRequest>) -> Result<Response<Bookmark>, Status> {
        let owner = caller::owner(&request)?;
        let id = id::parse_name("bookmark", &request.get_ref().id)?;
        let bookmark = store::get(&self.pool, owner, id)
            .await
            .map_err(Error::from)?
            .ok_or(Error::NotFound)?;
        Ok(Response::new(Bookmark::from(&bookmark)))
    }

    async fn list_bookmarks(
        &self,
        request: Request<ListBookmarksRequest>,
    ) -> Result<Response<ListBookmarksResponse>, Status> {
        let owner = caller::owner(&request)?;
        Ok(Response::new(self.list(owner, request.into_inner()).await?))
    }

    async fn update_bookmark(&self, request: Request<UpdateBookmarkRequest>) -> Result<Response<Bookmark>, Status> {
        let owner = caller::owner(&request)?;
        Ok(Response::new(self.update(owner, request.into_inner()).await?))
    }

    async fn delete_bookmark(&self, request: Request<DeleteBookmarkRequest>) -> Result<Response<()>, Status> {
        let owner = caller::owner(&request)?;
        let request = request.into_inner();
        let id = id::parse_name("bookmark", &request.id)?;
        self.delete(owner, id, &request.etag).await?;
        Ok(Response::new(()))
    }

    async fn list_tags(&self, request: Request<ListTagsRequest>) -> Result<Response<ListTagsResponse>, Status> {
        let owner = caller::owner(&request)?;
        Ok(Response::new(self.tags(owner, &request.into_inner()).await?))
    }

    async fn list_collections(
        &self,
        request: Request<ListCollectionsRequest>,
    ) -> Result<Response<ListCollectionsResponse>, Status> {
        let owner = caller::owner(&request)?;
        Ok(Response::new(self.collections(owner, &request.into_inner()).await?))
    }
}
