package telemetry

import (
	"context"
	"net/http/httptest"
	"testing"

	"connectrpc.com/connect"

	v1 "causeway/api/gen/causeway/v1"
	"causeway/api/gen/causeway/v1/causewayv1connect"
)

// whoAmI answers one method of the API.
type whoAmI struct {
	causewayv1connect.UnimplementedControlServiceHandler
}

func (whoAmI) WhoAmI(context.Context, *connect.Request[v1.WhoAmIRequest]) (*connect.Response[v1.WhoAmIResponse], error) {
	return connect.NewResponse(&v1.WhoAmIResponse{Name: "x"}), nil
}

// callThrough calls a method of a server that has the interceptor.
func callThrough(t *testing.T, i connect.Interceptor) error {
	_, handler := causewayv1connect.NewControlServiceHandler(whoAmI{}, connect.WithInterceptors(i))
	s := httptest.NewServer(handler)
	defer s.Close()
	_, err := causewayv1connect.NewControlServiceClient(s.Client(), s.URL).WhoAmI(t.Context(), connect.NewRequest(&v1.WhoAmIRequest{}))
	return err
}
