package config

import "time"

// A Config is what the program was told. Its JSON is a file of settings; the
// tags are the schema and the reference of keys:
//
//	config:"project"  a project's own file may set it
//	config:"reload"   SIGHUP changes it while the server runs
//	flag:"NAME"       a second name of its flag
//	env:"NAME"        a second name of its variable
type Config struct {
	Hardware    Hardware    `json:"hardware"`
	IPFS        IPFS        `json:"ipfs"`
	P2P         P2P         `json:"p2p"`
	Performance Performance `json:"performance"`
	Logging     Logging     `json:"logging"`
	Server      Server      `json:"server"`
	Telemetry   Telemetry   `json:"telemetry"`
	Benchdb     Benchdb     `json:"benchdb"`

	Models     []string `json:"models" config:"project" jsonschema:"maxItems=16" jsonschema_description:"Models that the server opens when it starts, so that the first call finds them in memory: names, CIDs or paths in allowed folders."`
	AllowPaths []string `json:"allow_paths" jsonschema:"maxItems=256" jsonschema_description:"Folders whose files callers may name, as absolute paths. The flag --allow-path adds to them."`
	Sources    []Source `json:"sources" jsonschema:"maxItems=64" jsonschema_description:"Trustless gateways that models are fetched from, in order. The flag --source adds to them. There are none by default. In a variable or flag: NAME=URL,NAME=URL."`
	Native     string   `json:"native" jsonschema_description:"Path of ipfs-accelerate-native. Empty: beside this program, else on PATH."`
	ORTLib     string   `json:"ort_lib" env:"ORT_LIB" jsonschema_description:"Path of an ONNX Runtime library to use instead of the installed one."`
}

// Hardware says what models may run on.
type Hardware struct {
	PreferCUDA     bool `json:"prefer_cuda" config:"project,reload" jsonschema_description:"Try CUDA before what is not preferred."`
	PreferROCm     bool `json:"prefer_rocm" config:"project,reload" jsonschema_description:"Try ROCm before what is not preferred."`
	PreferMPS      bool `json:"prefer_mps" config:"project,reload" jsonschema_description:"Try MPS (Core ML) before what is not preferred."`
	PreferOpenVINO bool `json:"prefer_openvino" config:"project,reload" jsonschema_description:"Try OpenVINO before what is not preferred."`
	PreferQualcomm bool `json:"prefer_qualcomm" config:"project,reload" jsonschema_description:"Try Qualcomm (QNN) before what is not preferred."`
	PreferWebNN    bool `json:"prefer_webnn" config:"project,reload" jsonschema_description:"Try WebNN before what is not preferred."`
	PreferWebGPU   bool `json:"prefer_webgpu" config:"project,reload" jsonschema_description:"Try WebGPU before what is not preferred."`
	PreferDirectML bool `json:"prefer_directml" config:"project,reload" jsonschema_description:"Try DirectML before what is not preferred."`
	PreferCPU      bool `json:"prefer_cpu" config:"project,reload" jsonschema_description:"Try the processor before what is not preferred."`

	AllowCUDA     bool `json:"allow_cuda" config:"project,reload" jsonschema_description:"Whether models may run on CUDA."`
	AllowROCm     bool `json:"allow_rocm" config:"project,reload" jsonschema_description:"Whether models may run on ROCm."`
	AllowMPS      bool `json:"allow_mps" config:"project,reload" jsonschema_description:"Whether models may run on MPS (Core ML)."`
	AllowOpenVINO bool `json:"allow_openvino" config:"project,reload" jsonschema_description:"Whether models may run on OpenVINO."`
	AllowQualcomm bool `json:"allow_qualcomm" config:"project,reload" jsonschema_description:"Whether models may run on Qualcomm (QNN)."`
	AllowWebNN    bool `json:"allow_webnn" config:"project,reload" jsonschema_description:"Whether models may run on WebNN."`
	AllowWebGPU   bool `json:"allow_webgpu" config:"project,reload" jsonschema_description:"Whether models may run on WebGPU."`
	AllowDirectML bool `json:"allow_directml" config:"project,reload" jsonschema_description:"Whether models may run on DirectML."`
	AllowCPU      bool `json:"allow_cpu" config:"project,reload" jsonschema_description:"Whether models may run on the processor."`

	Precision   string `json:"precision" config:"project,reload" jsonschema:"enum=auto,enum=fp32,enum=fp16,enum=int8" jsonschema_description:"Which of a model's files runs when a call names no precision: auto takes model.onnx, the others their variant where the model has it."`
	MemoryLimit Size   `json:"memory_limit" jsonschema_description:"What all runners together may take, such as 8GB. Sessions that are idle are closed to keep to it; what does not fit is refused. 0 is no limit."`
}

// IPFS says where models come from.
type IPFS struct {
	Gateway     string   `json:"gateway" jsonschema_description:"URL of a trustless gateway to fetch models from, as the source \"gateway\", after those of sources."`
	LocalNode   string   `json:"local_node" jsonschema_description:"URL of the gateway of an IPFS node on this machine, such as http://127.0.0.1:8080, as the source \"local-node\", before all others. auto: the Kubo node of this user, if one runs, by its RPC; it is asked only for what it has."`
	HubEndpoint string   `json:"hub_endpoint" env:"HF_ENDPOINT" jsonschema_description:"URL of the Hugging Face hub that models named hf://ORG/NAME are fetched from. Empty: the public one. It is asked for such a model only, and told the token in HF_TOKEN or of the hub's own login; HF_HUB_OFFLINE=1 keeps it from being asked."`
	StoreMax    Size     `json:"store_max" jsonschema_description:"What the models of the store may take on disk, such as 200GB: above 90 % of it the longest unused ones that are not pinned are removed, until it is 75 %. 0 is no limit."`
	LimitRate   Size     `json:"limit_rate" flag:"limit-rate" jsonschema_description:"How many bytes a second may come from sources and hubs, such as 10MB, all fetches of one process together. 0 is no limit."`
	Timeout     Duration `json:"timeout" jsonschema_description:"How long a source may send not one byte before a request to it is given up: seconds, or a duration such as 30s."`
}

// P2P says which other machines models are exchanged with.
type P2P struct {
	Enabled      bool     `json:"enabled" flag:"p2p" jsonschema_description:"Fetch models from peers, as the sources \"peers\" and \"bitswap\", and, while a server runs, give them those of models share. One process of the machine, ipfs-accelerate-p2p, does it for all."`
	Listen       []string `json:"listen" jsonschema:"maxItems=16" jsonschema_description:"Multiaddrs that peers may connect to. None: this machine only asks."`
	Allow        []string `json:"allow" jsonschema:"maxItems=1024" jsonschema_description:"Ids of the peers that may connect and get what is shared. The command peers allow adds to them. None: nobody."`
	Peers        []string `json:"peers" jsonschema:"maxItems=256" jsonschema_description:"Multiaddrs, ending in /p2p/ID, of peers to stay connected to. The command peers connect adds to them. They get nothing unless they are allowed."`
	MDNS         bool     `json:"mdns" jsonschema_description:"Look for allowed peers on the local network, by multicast."`
	DHT          bool     `json:"dht" jsonschema_description:"Be part of a distributed hash table of allowed peers: say there what is shared, and look for who shares a model."`
	DHTBootstrap []string `json:"dht_bootstrap" jsonschema:"maxItems=64" jsonschema_description:"Multiaddrs, ending in /p2p/ID, of peers by which the table is joined. None: it begins here."`
	Program      string   `json:"program" jsonschema_description:"Path of ipfs-accelerate-p2p. Empty: beside this program, else on PATH."`
}

// Performance says what the program may use of the machine.
type Performance struct {
	CacheSize        Size `json:"cache_size" config:"project" jsonschema_description:"What the sessions of models that are kept open for the next call (L1) may take, such as 2GB; at most the machine's memory. 0 is half of that."`
	EnableProfiling  bool `json:"enable_profiling" config:"project" jsonschema_description:"Have ONNX Runtime write a profile of each run, which is then a file of the run at results://RUN_ID/. Each run loads its model afresh for it."`
	LayoutSize       Size `json:"layout_size" config:"project" jsonschema_description:"What copies of models may take on disk that load in a third of the time and memory; they are made when a model is first run. 0 makes none."`
	ParallelRequests int  `json:"parallel_requests" config:"project" jsonschema:"minimum=0,maximum=1024" jsonschema_description:"How many processor cores runs may keep busy at once: one run of a small model takes one. 0 is all."`
}

// Logging says what is logged, and where.
type Logging struct {
	Level   string `json:"level" config:"reload" flag:"log-level" jsonschema:"enum=debug,enum=info,enum=warn,enum=error" jsonschema_description:"The least that is logged."`
	Format  string `json:"format" flag:"log-format" jsonschema:"enum=text,enum=json" jsonschema_description:"text is for people, json for machines."`
	File    string `json:"file" flag:"log-file" jsonschema_description:"File to log to instead of stderr, as an absolute path. SIGHUP opens it again."`
	MaxSize Size   `json:"max_size" jsonschema_description:"Size at which the file is set aside and begun again."`
	Keep    int    `json:"keep" jsonschema:"minimum=1,maximum=1000" jsonschema_description:"How many files that were set aside are kept."`
}

// Server says how agents are served.
type Server struct {
	Transport         []string `json:"transport" flag:"transport" jsonschema:"enum=stdio,enum=http,minItems=1,maxItems=2" jsonschema_description:"stdio, http or both."`
	Listen            string   `json:"listen" flag:"listen" jsonschema_description:"HOST:PORT or unix:PATH for http: /mcp, /sse, /metrics, /healthz, /readyz and, with gateway, /ipfs/."`
	Gateway           bool     `json:"gateway" flag:"gateway" jsonschema_description:"Serve models under /ipfs/ as a trustless gateway: all of the store to this machine, those of models share to other machines."`
	DrainTimeout      Duration `json:"drain_timeout" flag:"drain-timeout" jsonschema_description:"How long calls may go on after the input ends or the server is stopped."`
	Auth              string   `json:"auth" flag:"auth" jsonschema:"enum=token,enum=none" jsonschema_description:"token: clients of http send the token in the data directory's file \"token\"; none: nobody is asked, on this machine only."`
	AllowHost         []string `json:"allow_host" flag:"allow-host" jsonschema:"maxItems=64" jsonschema_description:"Names that clients may use for this server, beside localhost and its addresses."`
	TLSCert           string   `json:"tls_cert" flag:"tls-cert" jsonschema_description:"File with the certificate chain for https; read again when it changes."`
	TLSKey            string   `json:"tls_key" flag:"tls-key" jsonschema_description:"File with the certificate's key."`
	InsecurePlaintext bool     `json:"insecure_plaintext" flag:"insecure-plaintext" jsonschema_description:"Allow an address that others can reach without TLS: whoever listens on the way sees the token and all else."`
	Limits            Limits   `json:"limits"`
}

// Limits bound what clients can make the server hold or do.
type Limits struct {
	Body        Size     `json:"body" jsonschema_description:"Bytes of one request over http."`
	Header      Size     `json:"header" jsonschema_description:"Bytes of a request's header."`
	Line        Size     `json:"line" jsonschema_description:"Bytes of one message on stdin."`
	Depth       int      `json:"depth" jsonschema:"minimum=8,maximum=10000" jsonschema_description:"How deep the values of a message may be nested."`
	Calls       int      `json:"calls" jsonschema:"minimum=1,maximum=100000" jsonschema_description:"Tool calls at once; one more is answered overloaded."`
	Sessions    int      `json:"sessions" jsonschema:"minimum=1,maximum=100000" jsonschema_description:"Sessions of clients before 2026-07-28; the longest idle one makes room."`
	Streams     int      `json:"streams" jsonschema:"minimum=1,maximum=100000" jsonschema_description:"Event streams that are open at once."`
	Connections int      `json:"connections" jsonschema:"minimum=1,maximum=100000" jsonschema_description:"Connections over http at once."`
	Rate        float64  `json:"rate" jsonschema:"minimum=1,maximum=1000000" jsonschema_description:"Requests a second over http, of all clients together."`
	Patience    Duration `json:"patience" jsonschema_description:"How long a client may take to send a request, or to take what it is sent."`
	Idle        Duration `json:"idle" jsonschema_description:"After how long an idle session ends; half of it ends a connection."`
}

// Telemetry says who is told what calls cost.
type Telemetry struct {
	OTLPEndpoint string `json:"otlp_endpoint" jsonschema_description:"URL of an OpenTelemetry collector that is sent a trace of each call over OTLP/HTTP, such as http://127.0.0.1:4318. Empty: off, unless OTEL_EXPORTER_OTLP_ENDPOINT is set."`
}

// Benchdb says how long what is kept of measurements, and who may ask.
type Benchdb struct {
	InferenceDays int  `json:"inference_days" jsonschema:"minimum=0,maximum=36500" jsonschema_description:"How many days single inferences are kept, before only their sums by the hour are. 0 is for ever."`
	SampleDays    int  `json:"sample_days" jsonschema:"minimum=0,maximum=36500" jsonschema_description:"How many days the samples of benchmarks are kept, before only their histograms are. 0 is for ever."`
	UnconfinedSQL bool `json:"unconfined_sql" jsonschema_description:"Answer an agent's SQL where the system has no full sandbox, too: DuckDB's own settings are then all that keeps it from files."`
}

// Defaults returns what holds where nothing else is said.
func Defaults() Config {
	return Config{
		Hardware: Hardware{
			AllowCUDA: true, AllowROCm: true, AllowMPS: true, AllowOpenVINO: true, AllowQualcomm: true,
			AllowWebNN: true, AllowWebGPU: true, AllowDirectML: true, AllowCPU: true, Precision: "auto",
		},
		IPFS: IPFS{Timeout: Duration(20 * time.Second)},
		P2P: P2P{
			Listen: []string{"/ip4/0.0.0.0/tcp/4101", "/ip6/::/tcp/4101", "/ip4/0.0.0.0/udp/4101/quic-v1", "/ip6/::/udp/4101/quic-v1"},
			Allow:  []string{}, Peers: []string{}, DHTBootstrap: []string{},
		},
		Performance: Performance{LayoutSize: 8_000_000_000},
		Logging:     Logging{Level: "warn", Format: "text", MaxSize: 100 << 20, Keep: 5},
		Server: Server{
			Transport: []string{"stdio"}, Listen: "127.0.0.1:8765", DrainTimeout: Duration(30 * time.Second), Auth: "token", AllowHost: []string{},
			Limits: Limits{
				Body: 16 << 20, Header: 32 << 10, Line: 64 << 20, Depth: 200, Calls: 256, Sessions: 128, Streams: 256, Connections: 1024,
				Rate: 20_000, Patience: Duration(30 * time.Second), Idle: Duration(30 * time.Minute),
			},
		},
		Benchdb: Benchdb{InferenceDays: 30, SampleDays: 180},
		Models:  []string{}, AllowPaths: []string{}, Sources: []Source{},
	}
}
