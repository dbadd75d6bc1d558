//! Sends what it is asked on to `url` while it comes, and answers what it is answered, trailers (`x-sent`) and all; at `/echo` it answers
//! the request itself.

use wasip3::http::client;
use wasip3::http::types::{ErrorCode, Fields, Request, Response, Scheme, Trailers};
use wasip3::wit_bindgen::{FutureReader, StreamReader};
use wasip3::{spawn_local, wit_future};

struct Application;

wasip3::http::service::export!(Application);

type Body = (StreamReader<u8>, FutureReader<Result<Option<Trailers>, ErrorCode>>);

impl wasip3::exports::http::handler::Guest for Application {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let target = request.get_path_with_query().unwrap_or_default();
        let method = request.get_method();
        let (_processed, done) = wit_future::new(|| Ok(()));
        let asked = Request::consume_body(request, done);
        let Some((_, url)) = target.split_once("?url=") else {
            return Ok(answer(200, asked));
        };
        let (authority, path) = url.strip_prefix("http://").unwrap_or(url).split_once('/').unwrap_or((url, ""));
        let (request, sent) = Request::new(Fields::new(), Some(asked.0), asked.1, None);
        request.set_method(&method).expect("a method");
        request.set_scheme(Some(&Scheme::Http)).expect("a scheme");
        request.set_authority(Some(authority)).expect("an authority");
        request.set_path_with_query(Some(&format!("/{path}"))).expect("a path");
        spawn_local(async move {
            let _ = sent.await;
        });
        let found = client::send(request).await?;
        let (_processed, done) = wit_future::new(|| Ok(()));
        Ok(answer(found.get_status_code(), Response::consume_body(found, done)))
    }
}

fn answer(status: u16, (body, trailers): Body) -> Response {
    let fields = Fields::new();
    fields.append("trailer", b"x-sent").expect("a field that may be set");
    let (response, _sent) = Response::new(fields, Some(body), trailers);
    response.set_status_code(status).expect("a status");
    response
}
