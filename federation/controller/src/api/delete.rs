//! DELETE of one object and of collections.

use bytes::Bytes;
use http::{StatusCode, header::CONTENT_TYPE};
use muster_kubeapi::list::ListMeta;
use muster_kubeapi::negotiate::{self, Endpoint};
use muster_kubeapi::options::{Options, Propagation as Asked};
use muster_kubeapi::path::Request;
use muster_kubeapi::status::{self, Status};
use muster_model::{Answer, Command, Delete, Key, Precondition, Propagation, Rejection, Revision, Uid};

use super::call::Call;
use super::items::Item;
use super::lists::{self, Page};
use super::respond::{self, Answered, Wanted};
use super::{objects, read, refusal};

/// Deletes of one collection under way at a time.
const CONCURRENT: usize = 64;

/// DELETE of one object.
///
/// # Errors
/// 400 or 422 for options that make no sense, 404, 409 for a precondition that does not hold.
pub async fn one(call: &Call, request: &Request, body: &Bytes) -> Answered {
    let wanted = Wanted::of(call, Endpoint::Object, &request.query)?;
    let options = options(call, request, body)?;
    let key = objects::key_of(request);
    let precondition = precondition(&options, &key)?;
    match propose(call, &options, key, precondition).await? {
        Ok(Answer::Removed(object)) => {
            let body = status::deleted(request.resource, &object.key.name, &object.meta.uid.to_string());
            respond::finish(&wanted, StatusCode::OK, body.to_string().into_bytes())
        }
        Ok(Answer::Deleting(object) | Answer::Stored(object)) => respond::object(
            request.resource,
            &wanted,
            StatusCode::OK,
            &objects::item(&call.api.vault, request.resource, &object)?,
        ),
        Ok(_) => Err(Status::internal("the hub did something else")),
        Err(rejection) => Err(refusal::of_apply(&rejection)),
    }
}

/// DELETE of a collection: each object by itself; one that is gone by then, or was made anew, is passed over.
///
/// # Errors
/// The first "no" of the hub; objects before it are deleted.
pub async fn collection(call: &Call, request: &Request, body: &Bytes) -> Answered {
    let wanted = Wanted::of(call, Endpoint::Collection, &request.query)?;
    let options = options(call, request, body)?;
    let state = call.newest().await?;
    let limit = options.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
    let items = read::select(call, &state, request, (None, limit))?;
    let mut deleted = Vec::new();
    for together in items.chunks(CONCURRENT) {
        let deletes = together.iter().map(|item| delete_item(call, &options, item));
        for result in futures::future::join_all(deletes).await {
            deleted.extend(result?);
        }
    }
    let page = Page { meta: ListMeta::at(call.api.hub.stale().revision().0), items: deleted };
    lists::respond(request.resource, &wanted, page, &call.ticket)
}

/// Deletes one of a collection; `None` if it is gone, or was made anew.
async fn delete_item(call: &Call, options: &Options, item: &Item) -> Result<Option<Item>, Status> {
    let Item::Stored(_, object, _) = item else { return Ok(None) };
    let precondition = Precondition { uid: Some(object.meta.uid), revision: None };
    match propose(call, options, object.key.clone(), precondition).await? {
        Ok(_) => Ok(Some(item.clone())),
        Err(Rejection::NotFound(_) | Rejection::UidChanged { .. }) => Ok(None),
        Err(rejection) => Err(refusal::of_apply(&rejection)),
    }
}

fn options(call: &Call, request: &Request, body: &Bytes) -> Result<Options, Status> {
    let encoding = if body.is_empty() { None } else { call.header(&CONTENT_TYPE) };
    request.options.clone().with_delete_body(body, negotiate::content_type(encoding)?)
}

fn precondition(options: &Options, key: &Key) -> Result<Precondition, Status> {
    let uid = options.preconditions.uid.as_deref().map(|text| {
        // What is no uid is nobody's.
        text.parse::<Uid>().map_err(|_| refusal::uid_changed(key, text, "another"))
    });
    Ok(Precondition { uid: uid.transpose()?, revision: options.preconditions.resource_version.map(Revision) })
}

async fn propose(
    call: &Call,
    options: &Options,
    key: Key,
    precondition: Precondition,
) -> Result<Result<Answer, Rejection>, Status> {
    let delete = Delete {
        key,
        precondition,
        propagation: match options.propagation {
            Some(Asked::Foreground) => Propagation::Foreground,
            Some(Asked::Orphan) => Propagation::Orphan,
            Some(Asked::Background) | None => Propagation::Background,
        },
        grace_s: options.grace_period_seconds,
        principal: call.user.principal(),
    };
    Ok(match call.propose(Command::Delete(delete), options.dry_run).await? {
        Answer::Rejected(rejection) => Err(rejection),
        answer => Ok(answer),
    })
}
