package etcdstore

import (
	"bytes"
	"context"
	"log/slog"
	"testing"
	"time"
)

func TestStoppingWarnsOfNothing(t *testing.T) {
	var log bytes.Buffer
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	s, err := OpenEmbedded(ctx, Embedded{Folder: t.TempDir() + "/store", NoSync: true, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if log.Len() > 0 {
		t.Errorf("a clean stop says:\n%s", log.String())
	}
}
