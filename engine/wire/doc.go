// Package wire is the one protocol by which a session runs elsewhere: in a
// child process over a socket pair, in a browser's page over a WebSocket, on
// another peer over a stream. [Serve] answers for an execution provider;
// [Client] is the other end, whose sessions are [engine.Session] values.
//
// # Frames
//
// Both directions carry frames, and nothing else. All integers are
// little-endian.
//
//	offset       size     what
//	0            4        u32  H, length of the header, 2 to 1 048 576
//	4            8        u64  P, length of the payload, 0 to the receiver's limit
//	12           H        header, one JSON object in UTF-8
//	12+H         0 to 63  zeros, up to the next multiple of 64
//	(aligned)    P        payload
//
// A transport that keeps messages apart (a WebSocket) sends one frame per
// message. A frame that breaks a rule of this page ends the connection.
//
// # Headers
//
// Every header has "op" and "id". The side that asks chooses the id, above 0
// and not in use; each request is answered by exactly one "result" or "error"
// of the same id, in any order. Unknown fields are ignored. Fields that an op
// does not list are left out.
//
//	op        direction  further fields
//	hello     client →   version
//	open      client →   open
//	describe  client →   session
//	run       client →   session, tensors, shared, request, take, keep, hold, greedy, and a payload
//	forget    client →   session, names
//	cancel    client →   nothing; id is that of an open or run. It has no answer of its own
//	close     client →   session
//	progress  ← server   progress; any number, before the answer to id
//	result    ← server   of hello: version, hello; of open: session;
//	                     of describe: info; of run: tensors, shared, took_us, and a payload; of forget and close: nothing
//	error     ← server   error; with id 0 it concerns the connection, which then ends
//
// The objects within:
//
//	hello     {"provider": string, "devices": [{"id", "kind", "name", "memory", "driver",
//	          "precisions", "simulated"}], "max_payload": bytes, "max_runs": count}
//	open      {"root": CID, "name": string, "dir": path, "file": path relative to dir,
//	          "plan": {"device", "precision", "batch_size", "threads", "memory", "profile"}}
//	info      {"inputs": [{"name", "dtype", "shape", "names"}], "outputs": […],
//	          "memory_bytes", "sandbox", "nodes"}, as [engine.SessionInfo]
//	progress  {"done", "total", "unit", "message"}, as [engine.Progress]
//	error     {"code", "message", "hint", "valid_values", "retryable"}, as [engine.Error]
//	tensors   [{"name", "dtype", "shape", "offset", "length"}]
//	shared    {"at", "length", "room"}, see below
//	request   the id of what a user asked for, for the server's log
//	take      {input: name}, the inputs that come from what the session keeps
//	keep      {output: name}, the outputs that stay there, and are not in the answer
//	hold      {input: name}, the inputs given that stay there too
//	greedy    {"steps", "ends": [token], "past": {input: output}}, as [engine.Greedy]
//	names     [name], what is kept no more
//	took_us   microseconds that the run took in the server
//
// # Conversation
//
// The client's first frame is hello with "version" [Version]; the server's
// answer has its own. If they differ, both sides end the connection and the
// client reports restart_needed. A server keeps at most max_runs runs in work
// and refuses further ones; a client waits instead. It also refuses a run, with
// out_of_memory, whose payload and those of the session's other runs are over half
// of the plan's memory, if that is not 0. Runs of one session may
// overlap. After cancel the server stops as soon as it can and still answers
// the request, with code cancelled or with the result if that came first.
// Closing a session cancels its runs. At the end of the stream the server
// cancels everything and closes every session.
//
// # Tensors
//
// "dtype" is an [engine.DataType]. "offset" is a multiple of 64 from the start
// of the payload and "length" is in bytes; tensors lie in the order they are
// listed, without overlap and within the payload, at most 1024 of them, each
// name once. A dimension is never negative; no dimensions at all is one
// element. Numbers are row-major and little-endian, and "length" is the product
// of the shape times the element's size; a bool is a byte, 0 or 1. A string
// tensor has one record per element: u32 length, then that many bytes.
//
// # Shared memory
//
// Where both sides have the same memory mapped, a payload may lie in it
// instead of in the frame, whose P is then 0: "at", a multiple of 64, is where
// it starts and "length" how long it is. The client alone says what of the
// memory is used for what. In a run, "room" is how many bytes behind the
// payload, from the next multiple of 64 on, the payload of the answer may take;
// a server whose answer needs more sends it in the frame. Both are the run's
// until it is answered. The client copies the answer before it looks at it: the
// other side may be in the hands of a hostile model.
package wire
