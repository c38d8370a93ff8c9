package blocks

import (
	"testing"

	"causeway/internal/dataplane/segment/code/codetest"
)

var suite = codetest.Suite{Codec: Codec{}, Pool: 32, Complete: false}

func TestSuite(t *testing.T) { suite.Run(t) }

func BenchmarkCodec(b *testing.B) { suite.Bench(b) }
