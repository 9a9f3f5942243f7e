//! EnrichmentService, and the proposals as messages.

use bookmesh_proto::enrich::v1::{
    self as proto, GetEnrichmentRequest, enrichment::Source, enrichment_service_server::EnrichmentService,
};
use service::{caller, id, time::to_proto};
use sqlx::PgPool;
use tonic::{Request, Response, Status, async_trait};

use crate::{
    error::Error,
    extract::ProposedTag,
    store::{self, Enrichment},
};

pub(crate) struct Enrichments {
    pub pool: PgPool,
}

#[async_trait]
impl EnrichmentService for Enrichments {
    async fn get_enrichment(
        &self,
        request: Request<GetEnrichmentRequest>,
    ) -> Result<Response<proto::Enrichment>, Status> {
        let owner = caller::owner(&request)?;
        let bookmark_id = id::parse_name("enrichment", &request.get_ref().bookmark_id)?;

        let found = store::find(&self.pool, owner, bookmark_id).await.map_err(Error::from)?;

        let enrichment = found.ok_or(Error::NotFound)?;
        Ok(Response::new(enrichment.into()))
    }
}

impl From<Enrichment> for proto::Enrichment {
    fn from(enrichment: Enrichment) -> proto::Enrichment {
        proto::Enrichment {
            bookmark_id: enrichment.bookmark_id.to_string(),
            bookmark_version: enrichment.bookmark_version,
            tags: enrichment.tags.into_iter().map(proto::ProposedTag::from).collect(),
            summary: enrichment.summary,
            source: Source::LocalExtractor.into(),
            create_time: Some(to_proto(enrichment.created_at)),
        }
    }
}

impl From<ProposedTag> for proto::ProposedTag {
    fn from(tag: ProposedTag) -> proto::ProposedTag {
        proto::ProposedTag {
            name: tag.name,
            confidence: tag.confidence,
            source: Source::LocalExtractor.into(),
        }
    }
}
