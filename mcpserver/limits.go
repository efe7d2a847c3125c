package mcpserver

import (
	"cmp"
	"time"
)

// Limits bound what clients can make the server hold or do. A field that is
// zero has the default of [DefaultLimits].
type Limits struct {
	Body        int64         // bytes of one request over HTTP
	Header      int           // bytes of a request's header
	Line        int           // bytes of one message on stdin
	Depth       int           // how deep a message's values may be nested
	Calls       int           // tool calls at once; one more is answered "overloaded"
	Sessions    int           // of clients before 2026-07-28; the longest idle one makes room
	Streams     int           // event streams that are open for what the server may tell
	Connections int           // over HTTP at once
	Rate        float64       // requests a second, of all clients together; as many again may come in a burst
	Patience    time.Duration // for a client to send a request, or to take what it is sent
	Idle        time.Duration // after which a session ends, and half of which ends a connection
}

// DefaultLimits returns what the zero [Limits] stands for.
func DefaultLimits() Limits {
	return Limits{
		Body: 16 << 20, Header: 32 << 10, Line: 64 << 20, Depth: 200,
		Calls: 256, Sessions: 128, Streams: 256, Connections: 1024, Rate: 20_000,
		Patience: 30 * time.Second, Idle: 30 * time.Minute,
	}
}

// orDefaults returns l with its zero fields filled.
func (l Limits) orDefaults() Limits {
	d := DefaultLimits()
	return Limits{
		Body: cmp.Or(l.Body, d.Body), Header: cmp.Or(l.Header, d.Header), Line: cmp.Or(l.Line, d.Line), Depth: cmp.Or(l.Depth, d.Depth),
		Calls: cmp.Or(l.Calls, d.Calls), Sessions: cmp.Or(l.Sessions, d.Sessions), Streams: cmp.Or(l.Streams, d.Streams),
		Connections: cmp.Or(l.Connections, d.Connections), Rate: cmp.Or(l.Rate, d.Rate),
		Patience: cmp.Or(l.Patience, d.Patience), Idle: cmp.Or(l.Idle, d.Idle),
	}
}
