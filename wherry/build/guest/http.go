// Package export_wasi_http_incoming_handler stands between wasi:http and net/http: requests go to
// http.DefaultServeMux, where main registers handlers, and http.DefaultTransport sends those of the guest.
package export_wasi_http_incoming_handler

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	types "go.bytecodealliance.org/pkg/wit/types"
	"wit_component/wasi_http_outgoing_handler"
	. "wit_component/wasi_http_types"
	"wit_component/wasi_io_streams"
)

// Main is the user's main, which registers handlers and returns.
var Main func()

var registered sync.Once

func init() { http.DefaultTransport = transport{} }

// Handle answers one request.
func Handle(from *IncomingRequest, out *ResponseOutparam) {
	registered.Do(Main)
	request, err := received(from)
	answer := &response{out: out, fields: http.Header{}}
	answer.buffer = bufio.NewWriterSize((*streaming)(answer), 4096)
	if err != nil {
		http.Error(answer, "400 Bad Request", http.StatusBadRequest)
	} else {
		http.DefaultServeMux.ServeHTTP(answer, request)
		request.Body.Close()
	}
	answer.end()
}

var methods = []string{"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"}

func received(from *IncomingRequest) (*http.Request, error) {
	method := from.Method()
	request := &http.Request{Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
	if method.Tag() == MethodOther {
		request.Method = method.Other()
	} else {
		request.Method = methods[method.Tag()]
	}
	request.Host = from.Authority().SomeOr("")
	request.RequestURI = from.PathWithQuery().SomeOr("/")
	request.Header = fieldsOf(from.Headers())
	request.Header.Del("Host")
	request.ContentLength = lengthOf(request.Header)
	request.Body = &incoming{body: from.Consume().Ok(), trailer: &request.Trailer}
	var err error
	request.URL, err = url.ParseRequestURI(request.RequestURI)
	return request, err
}

func fieldsOf(fields *Fields) http.Header {
	defer fields.Drop()
	header := http.Header{}
	for _, field := range fields.Entries() {
		header.Add(field.F0, string(field.F1))
	}
	return header
}

// The length that a message says it has, or -1.
func lengthOf(header http.Header) int64 {
	length, err := strconv.ParseInt(header.Get("Content-Length"), 10, 64)
	if err != nil {
		return -1
	}
	return length
}

// Fields as a header, but for those that belong to the connection, which the host refuses.
func fieldsFrom(header http.Header) *Fields {
	fields := MakeFields()
	for name, values := range header {
		for _, value := range values {
			fields.Append(name, []byte(value))
		}
	}
	return fields
}

// Until something is ready; what was subscribed to can only be dropped after the subscription.
func wait(ready *Pollable) {
	ready.Block()
	ready.Drop()
}

// A body as it arrives.
type incoming struct {
	body    *IncomingBody
	stream  *wasi_io_streams.InputStream
	trailer *http.Header
	over    error
}

func (in *incoming) Read(buffer []byte) (int, error) {
	if in.stream == nil && in.over == nil {
		in.stream = in.body.Stream().Ok()
	}
	for in.over == nil && len(buffer) > 0 {
		read := in.stream.BlockingRead(uint64(len(buffer)))
		if read.IsErr() {
			in.finish(read.Err())
		} else if len(read.Ok()) > 0 {
			return copy(buffer, read.Ok()), nil
		}
	}
	return 0, in.over
}

// What comes after the last piece: trailers, or what went wrong.
func (in *incoming) finish(why wasi_io_streams.StreamError) {
	in.over = io.EOF
	if why.Tag() == wasi_io_streams.StreamErrorLastOperationFailed {
		in.over = errors.New(why.LastOperationFailed().ToDebugString())
	}
	in.stream.Drop()
	trailers := IncomingBodyFinish(in.body)
	defer trailers.Drop()
	if in.over != io.EOF {
		return
	}
	wait(trailers.Subscribe())
	if got := trailers.Get().Some().Ok(); got.IsErr() {
		in.over = failed(got.Err())
	} else if got.Ok().IsSome() {
		*in.trailer = fieldsOf(got.Ok().Some())
	}
}

func (in *incoming) Close() error {
	if in.over == nil {
		in.over = http.ErrBodyReadAfterClose
		if in.stream != nil {
			in.stream.Drop()
		}
		in.body.Drop()
	}
	return nil
}

// A body as it is sent.
type outgoing struct {
	body   *OutgoingBody
	stream *wasi_io_streams.OutputStream
}

func send(body *OutgoingBody) *outgoing { return &outgoing{body, body.Write().Ok()} }

func (out *outgoing) Write(data []byte) (int, error) {
	for sent := 0; sent < len(data); {
		room := out.stream.CheckWrite()
		if room.IsErr() {
			return sent, io.ErrClosedPipe
		}
		if room.Ok() == 0 {
			wait(out.stream.Subscribe())
			continue
		}
		piece := data[sent:min(len(data), sent+int(min(room.Ok(), 1<<20)))]
		if out.stream.Write(piece).IsErr() {
			return sent, io.ErrClosedPipe
		}
		sent += len(piece)
	}
	return len(data), nil
}

func (out *outgoing) end(trailers types.Option[*Fields]) error {
	out.stream.Drop()
	if done := OutgoingBodyFinish(out.body, trailers); done.IsErr() {
		return failed(done.Err())
	}
	return nil
}

// response is what handlers write to. What fits a buffer is sent with its length.
type response struct {
	out     *ResponseOutparam
	fields  http.Header
	status  int
	content *outgoing
	buffer  *bufio.Writer
}

func (r *response) Header() http.Header { return r.fields }

func (r *response) WriteHeader(status int) {
	if r.status == 0 && status >= 200 {
		r.status = status
	}
}

func (r *response) Write(data []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	if r.status == http.StatusNoContent || r.status == http.StatusNotModified {
		return 0, http.ErrBodyNotAllowed
	}
	if _, said := r.fields["Content-Type"]; !said && len(data) > 0 {
		r.fields.Set("Content-Type", http.DetectContentType(data))
	}
	return r.buffer.Write(data)
}

// Flush sends what was written so far.
func (r *response) Flush() {
	r.begin()
	r.buffer.Flush()
	r.content.stream.Flush()
}

func (r *response) begin() {
	if r.content != nil {
		return
	}
	r.WriteHeader(http.StatusOK)
	head := http.Header{}
	for name, values := range r.fields {
		if !strings.HasPrefix(name, http.TrailerPrefix) && !r.trails(name) {
			head[name] = values
		}
	}
	answer := MakeOutgoingResponse(fieldsFrom(head))
	answer.SetStatusCode(uint16(r.status))
	body := answer.Body().Ok()
	ResponseOutparamSet(r.out, types.Ok[*OutgoingResponse, ErrorCode](answer))
	r.content = send(body)
}

// Whether a field was announced as a trailer.
func (r *response) trails(name string) bool {
	for _, list := range r.fields["Trailer"] {
		for one := range strings.SplitSeq(list, ",") {
			if http.CanonicalHeaderKey(strings.TrimSpace(one)) == name {
				return true
			}
		}
	}
	return false
}

func (r *response) end() {
	if r.content == nil && r.fields["Content-Length"] == nil && r.buffer.Buffered() > 0 {
		r.fields.Set("Content-Length", strconv.Itoa(r.buffer.Buffered()))
	}
	r.begin()
	r.buffer.Flush()
	trailers := http.Header{}
	for name, values := range r.fields {
		if last, prefixed := strings.CutPrefix(name, http.TrailerPrefix); prefixed || r.trails(name) {
			trailers[last] = values
		}
	}
	if len(trailers) > 0 {
		r.content.end(types.Some(fieldsFrom(trailers)))
	} else {
		r.content.end(types.None[*Fields]())
	}
}

// streaming is where the buffer of a response goes.
type streaming response

func (s *streaming) Write(data []byte) (int, error) {
	(*response)(s).begin()
	return s.content.Write(data)
}

// transport sends requests through wasi:http, as far as the policy allows them.
type transport struct{}

func (transport) RoundTrip(request *http.Request) (*http.Response, error) {
	header := request.Header.Clone()
	if request.ContentLength > 0 {
		header.Set("Content-Length", strconv.FormatInt(request.ContentLength, 10))
	}
	to := MakeOutgoingRequest(fieldsFrom(header))
	to.SetMethod(methodOf(request.Method))
	scheme := MakeSchemeHttps()
	if request.URL.Scheme == "http" {
		scheme = MakeSchemeHttp()
	}
	to.SetScheme(types.Some(scheme))
	to.SetAuthority(types.Some(request.URL.Host))
	to.SetPathWithQuery(types.Some(request.URL.RequestURI()))
	body := to.Body().Ok()
	options := types.None[*RequestOptions]()
	if deadline, set := request.Context().Deadline(); set {
		left := MakeRequestOptions()
		left.SetFirstByteTimeout(types.Some(uint64(max(time.Until(deadline), 0))))
		options = types.Some(left)
	}
	asked := wasi_http_outgoing_handler.Handle(to, options)
	if asked.IsErr() {
		return nil, failed(asked.Err())
	}
	content := send(body)
	if request.Body != nil {
		defer request.Body.Close()
		if _, err := io.Copy(content, request.Body); err != nil && err != io.ErrClosedPipe {
			return nil, err
		}
	}
	content.end(types.None[*Fields]())
	return answered(asked.Ok(), request)
}

func methodOf(name string) Method {
	for tag, known := range methods {
		if known == name {
			return makers[tag]()
		}
	}
	if name == "" {
		return MakeMethodGet()
	}
	return MakeMethodOther(name)
}

var makers = []func() Method{
	MakeMethodGet, MakeMethodHead, MakeMethodPost, MakeMethodPut, MakeMethodDelete, MakeMethodConnect,
	MakeMethodOptions, MakeMethodTrace, MakeMethodPatch,
}

func answered(future *FutureIncomingResponse, request *http.Request) (*http.Response, error) {
	defer future.Drop()
	wait(future.Subscribe())
	got := future.Get().Some().Ok()
	if got.IsErr() {
		return nil, failed(got.Err())
	}
	from := got.Ok()
	status := int(from.Status())
	answer := &http.Response{
		Status:     strconv.Itoa(status) + " " + http.StatusText(status),
		StatusCode: status,
		Proto:      "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:  fieldsOf(from.Headers()),
		Request: request,
	}
	answer.ContentLength = lengthOf(answer.Header)
	answer.Body = &incoming{body: from.Consume().Ok(), trailer: &answer.Trailer}
	return answer, nil
}

var codes = strings.Fields(`DNS-timeout DNS-error destination-not-found destination-unavailable
	destination-IP-prohibited destination-IP-unroutable connection-refused connection-terminated
	connection-timeout connection-read-timeout connection-write-timeout connection-limit-reached
	TLS-protocol-error TLS-certificate-error TLS-alert-received HTTP-request-denied
	HTTP-request-length-required HTTP-request-body-size HTTP-request-method-invalid HTTP-request-URI-invalid
	HTTP-request-URI-too-long HTTP-request-header-section-size HTTP-request-header-size
	HTTP-request-trailer-section-size HTTP-request-trailer-size HTTP-response-incomplete
	HTTP-response-header-section-size HTTP-response-header-size HTTP-response-body-size
	HTTP-response-trailer-section-size HTTP-response-trailer-size HTTP-response-transfer-coding
	HTTP-response-content-coding HTTP-response-timeout HTTP-upgrade-failed HTTP-protocol-error loop-detected
	configuration-error internal-error`)

// An error by its name in wasi:http.
func failed(code ErrorCode) error {
	name := "wasi:http: " + codes[code.Tag()]
	if code.Tag() == ErrorCodeInternalError && code.InternalError().IsSome() {
		name += ": " + code.InternalError().Some()
	}
	return errors.New(name)
}
