package memstore

import (
	"testing"

	"causeway/internal/control/store"
	"causeway/internal/control/store/storetest"
)

func TestItIsAStore(t *testing.T) {
	storetest.Run(t, func(testing.TB) store.Store { return New() })
}
