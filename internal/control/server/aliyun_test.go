package server

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"causeway/internal/control/store/memstore"
)

// TestTheCompatibleAPIIsOnOnePort: HTTP and HTTPS alike; it ends with its
// controller, whoever is connected and says nothing.
func TestTheCompatibleAPIIsOnOnePort(t *testing.T) {
	s := memstore.New()
	defer s.Close()
	native, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	compatible, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	server, err := New(Options{Store: s, Dir: t.TempDir(), Listener: native, Version: "test", Log: slog.New(slog.DiscardHandler), Aliyun: &Aliyun{Listener: compatible}})
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}
	client := &http.Client{Transport: transport, Timeout: 20 * time.Second}
	for _, scheme := range []string{"http", "https"} {
		answer, err := client.Get(scheme + "://" + compatible.Addr().String() + "/?Action=DescribeRegions&Version=2019-11-20")
		must(t, err)
		var body map[string]string
		must(t, json.NewDecoder(answer.Body).Decode(&body))
		answer.Body.Close()
		if answer.StatusCode != http.StatusBadRequest || body["Code"] != "MissingAccessKeyId" {
			t.Errorf("%s: %d %v", scheme, answer.StatusCode, body)
		}
	}
	silent, err := net.Dial("tcp", compatible.Addr().String())
	must(t, err)
	defer silent.Close()
	cancel()
	if err := <-done; err != nil {
		t.Errorf("the controller ended with %v", err)
	}
	transport.CloseIdleConnections()
}
