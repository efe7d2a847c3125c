package workloads

import (
	"testing"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest"
)

func TestLatency(t *testing.T) { enginetest.TestWorkload(t, Latency()) }

func TestOffline(t *testing.T) { enginetest.TestWorkload(t, Offline()) }
