package aliyunapi

import (
	"testing"

	"causeway/internal/control/throttle"
	"causeway/internal/resource"
)

func TestWhoAsksTooOftenGetsTheVendorsCode(t *testing.T) {
	b := newBench(t)
	b.api.throttle = throttle.New(throttle.Limits{Rate: 0.001, Burst: 2}, b.clock)
	for range 2 {
		if _, answer := b.as(resource.Reader, "ListAccelerators"); answer["Code"] != nil {
			t.Fatalf("a request within the limit: %v", answer)
		}
	}
	if status, answer := b.as(resource.Reader, "ListAccelerators"); status != 400 || answer["Code"] != "Throttling.User" {
		t.Errorf("the third at once: %d %v", status, answer)
	}
	if _, answer := b.as(resource.Admin, "ListAccelerators"); answer["Code"] != nil {
		t.Errorf("another key: %v", answer)
	}
}

func TestWrongSignaturesAreHeldOffAndKeysThatSignedBeforeAreNot(t *testing.T) {
	b := newBench(t)
	b.api.throttle = throttle.New(throttle.Limits{}, b.clock)
	if _, answer := b.as(resource.Reader, "ListAccelerators"); answer["Code"] != nil {
		t.Fatalf("a good request: %v", answer)
	}
	wrong := func() any {
		v := b.rpc(resource.Admin, "ListAccelerators", nil)
		rpcSign("POST", "guess", v)
		_, answer := b.send(post(v, nil))
		return answer["Code"]
	}
	for range throttle.FailedBurst {
		if code := wrong(); code != "SignatureDoesNotMatch" {
			t.Fatalf("a wrong signature: %v", code)
		}
	}
	if code := wrong(); code != "Throttling" {
		t.Errorf("one wrong signature too many: %v", code)
	}
	if _, answer := b.as(resource.Reader, "ListAccelerators"); answer["Code"] != nil {
		t.Errorf("the key that signed before: %v", answer)
	}
	if _, answer := b.send(b.acs3(resource.Reader, "ListAccelerators", nil, "")); answer["Code"] != nil {
		t.Errorf("the same key, signing otherwise: %v", answer)
	}
}
