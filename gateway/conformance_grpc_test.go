package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/encoding/gzip" // messages may be compressed
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/fnctl/fnctl/gateway"
	"github.com/fnctl/fnctl/platform"
)

// grpcApp is the service that gRPC's own implementations test each other with, as far as a proxy can spoil it.
type grpcApp struct {
	pb.UnimplementedTestServiceServer
	deadlines chan time.Time // of unary calls; zero for none
	cancelled chan error     // how streams ended that the client cut
}

// UnaryCall answers with as many bytes, or with the status that it is asked for, or never.
func (a *grpcApp) UnaryCall(ctx context.Context, in *pb.SimpleRequest) (*pb.SimpleResponse, error) {
	deadline, _ := ctx.Deadline()
	a.deadlines <- deadline
	given, _ := metadata.FromIncomingContext(ctx)
	grpc.SetHeader(ctx, metadata.Pairs("initial", strings.Join(given.Get("initial"), ","), "blob-bin", strings.Join(given.Get("blob-bin"), ",")))
	grpc.SetTrailer(ctx, metadata.Pairs("trailing", strings.Join(given.Get("initial"), ",")))
	if want := in.GetResponseStatus(); want != nil {
		return nil, grpcstatus.Error(codes.Code(want.GetCode()), want.GetMessage())
	}
	if in.GetFillUsername() { // stands for "wait"
		<-ctx.Done()
		return nil, grpcstatus.FromContextError(ctx.Err()).Err()
	}
	return &pb.SimpleResponse{Payload: &pb.Payload{Body: make([]byte, in.GetResponseSize())}, ServerId: "app"}, nil
}

func (a *grpcApp) StreamingOutputCall(in *pb.StreamingOutputCallRequest, stream pb.TestService_StreamingOutputCallServer) error {
	for _, p := range in.GetResponseParameters() {
		if err := stream.Send(&pb.StreamingOutputCallResponse{Payload: &pb.Payload{Body: make([]byte, p.GetSize())}}); err != nil {
			return err
		}
	}
	return nil
}

func (a *grpcApp) StreamingInputCall(stream pb.TestService_StreamingInputCallServer) error {
	total := 0
	for {
		in, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return stream.SendAndClose(&pb.StreamingInputCallResponse{AggregatedPayloadSize: int32(total)})
		}
		if err != nil {
			return err
		}
		total += len(in.GetPayload().GetBody())
	}
}

func (a *grpcApp) FullDuplexCall(stream pb.TestService_FullDuplexCallServer) error {
	for {
		in, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return grpcstatus.Error(codes.DataLoss, "the end") // after messages: only a trailer can say it
		}
		if err != nil {
			a.cancelled <- stream.Context().Err()
			return err
		}
		if err := stream.Send(&pb.StreamingOutputCallResponse{Payload: in.GetPayload()}); err != nil {
			return err
		}
	}
}

func newGRPC(t *testing.T) (pb.TestServiceClient, *grpcApp, *world) {
	t.Helper()
	w := newWorld(t)
	w.route(ping, func(s *platform.TrafficShare) { s.Protocol = platform.H2C })
	app := &grpcApp{deadlines: make(chan time.Time, 100), cancelled: make(chan error, 100)}
	server := grpc.NewServer(grpc.MaxRecvMsgSize(64 << 20))
	pb.RegisterTestServiceServer(server, app)
	a := w.arm(ping, 1)
	go server.Serve(a.Listener)
	t.Cleanup(server.Stop)
	return dialGRPC(t, w), app, w
}

func dialGRPC(t *testing.T, w *world) pb.TestServiceClient {
	t.Helper()
	c, err := grpc.NewClient("passthrough:///"+w.addr, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithAuthority("ping.localhost"),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return pb.NewTestServiceClient(c)
}

func (a *grpcApp) deadline(t *testing.T) time.Time {
	t.Helper()
	select {
	case deadline := <-a.deadlines:
		return deadline
	case <-time.After(requestTimeout):
		t.Fatal("the app was not called")
		return time.Time{}
	}
}

func TestGRPCUnary(t *testing.T) {
	client, app, _ := newGRPC(t)
	ctx := metadata.AppendToOutgoingContext(t.Context(), "initial", "a, b", "blob-bin", "\x00\xff\r\n")
	var header, trailer metadata.MD
	out, err := client.UnaryCall(ctx, &pb.SimpleRequest{ResponseSize: 100}, grpc.Header(&header), grpc.Trailer(&trailer))
	if err != nil || len(out.GetPayload().GetBody()) != 100 {
		t.Fatalf("got %v, %v", out, err)
	}
	if got := header.Get("initial"); !slices.Equal(got, []string{"a, b"}) {
		t.Errorf("header: got %q", got)
	}
	if got := header.Get("blob-bin"); !slices.Equal(got, []string{"\x00\xff\r\n"}) {
		t.Errorf("binary header: got %q", got)
	}
	if got := trailer.Get("trailing"); !slices.Equal(got, []string{"a, b"}) {
		t.Errorf("trailer: got %q", got)
	}
	if deadline := app.deadline(t); !deadline.IsZero() {
		t.Errorf("the app has a deadline that the client did not set: %v", deadline)
	}
}

func TestGRPCStatus(t *testing.T) {
	client, _, _ := newGRPC(t)
	for _, code := range []codes.Code{codes.NotFound, codes.Internal, codes.Unavailable, codes.Unauthenticated} {
		const message = "\ttest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n"
		_, err := client.UnaryCall(t.Context(), &pb.SimpleRequest{ResponseStatus: &pb.EchoStatus{Code: int32(code), Message: message}})
		if got := grpcstatus.Convert(err); got.Code() != code || got.Message() != message {
			t.Errorf("got %v, want %v", err, code)
		}
	}
	if _, err := client.UnimplementedCall(t.Context(), &pb.Empty{}); grpcstatus.Code(err) != codes.Unimplemented {
		t.Errorf("got %v", err)
	}
}

// The app knows the client's deadline, and when it has passed, both have done with the call.
func TestGRPCDeadline(t *testing.T) {
	client, app, w := newGRPC(t)
	if _, err := client.UnaryCall(t.Context(), &pb.SimpleRequest{}); err != nil {
		t.Fatal(err)
	}
	app.deadline(t)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	want, _ := ctx.Deadline()
	began := time.Now()
	if _, err := client.UnaryCall(ctx, &pb.SimpleRequest{FillUsername: true}); grpcstatus.Code(err) != codes.DeadlineExceeded {
		t.Errorf("got %v", err)
	}
	// It is told what is left when the call is sent, and counts from when that arrives.
	if late := app.deadline(t).Sub(want); late < -200*time.Millisecond || late > time.Since(began) {
		t.Errorf("the app's deadline is %v from the client's", late)
	}
	w.eventually("nothing is in flight", func() bool { return w.metric(platform.MetricInstanceInFlight) == 0 })
}

func TestGRPCBigMessages(t *testing.T) {
	client, _, _ := newGRPC(t)
	const size = 20 << 20
	for _, options := range [][]grpc.CallOption{nil, {grpc.UseCompressor("gzip")}} {
		out, err := client.UnaryCall(t.Context(), &pb.SimpleRequest{ResponseSize: size, Payload: &pb.Payload{Body: make([]byte, size)}}, options...)
		if err != nil || len(out.GetPayload().GetBody()) != size {
			t.Errorf("%v: got %d bytes, %v", options, len(out.GetPayload().GetBody()), err)
		}
	}
}

func TestGRPCStreams(t *testing.T) {
	client, _, _ := newGRPC(t)
	down, err := client.StreamingOutputCall(t.Context(), &pb.StreamingOutputCallRequest{
		ResponseParameters: []*pb.ResponseParameters{{Size: 31415}, {Size: 9}, {Size: 0}, {Size: 58979}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{31415, 9, 0, 58979} {
		if out, err := down.Recv(); err != nil || len(out.GetPayload().GetBody()) != want {
			t.Fatalf("server stream: got %d bytes, %v, want %d", len(out.GetPayload().GetBody()), err, want)
		}
	}
	if _, err := down.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("server stream: got %v at the end", err)
	}
	up, err := client.StreamingInputCall(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{27182, 8, 1828, 45904} {
		if err := up.Send(&pb.StreamingInputCallRequest{Payload: &pb.Payload{Body: make([]byte, size)}}); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := up.CloseAndRecv(); err != nil || out.GetAggregatedPayloadSize() != 74922 {
		t.Errorf("client stream: got %v, %v", out, err)
	}
}

// Each message arrives before the next is sent, and the status after all of them.
func TestGRPCBothWays(t *testing.T) {
	client, _, w := newGRPC(t)
	stream, err := client.FullDuplexCall(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		sent := bytes.Repeat([]byte{byte(i)}, i*100)
		if err := stream.Send(&pb.StreamingOutputCallRequest{Payload: &pb.Payload{Body: sent}}); err != nil {
			t.Fatal(err)
		}
		if got, err := stream.Recv(); err != nil || !bytes.Equal(got.GetPayload().GetBody(), sent) {
			t.Fatalf("message %d: got %v, %v", i, got, err)
		}
	}
	if n := w.metric(platform.MetricInstanceInFlight); n != 1 {
		t.Errorf("%v in flight while it is open", n)
	}
	stream.CloseSend()
	if _, err := stream.Recv(); grpcstatus.Code(err) != codes.DataLoss || grpcstatus.Convert(err).Message() != "the end" {
		t.Errorf("at the end: got %v", err)
	}
	w.eventually("nothing is in flight", func() bool { return w.metric(platform.MetricInstanceInFlight) == 0 })
}

// A client that cancels takes the app's work back.
func TestGRPCCancel(t *testing.T) {
	client, app, _ := newGRPC(t)
	ctx, cancel := context.WithCancel(t.Context())
	stream, err := client.FullDuplexCall(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&pb.StreamingOutputCallRequest{}); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	cancel()
	select {
	case err := <-app.cancelled:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	case <-time.After(requestTimeout):
		t.Error("the app still works for a client that has gone")
	}
}

// What the gateway answers itself is an error that gRPC understands.
func TestGRPCRefusals(t *testing.T) {
	w := newWorld(t, func(cfg *gateway.Config) { cfg.MaxQueue = 1 })
	c, err := grpc.NewClient("passthrough:///"+w.addr, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithAuthority("nobody.localhost"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := pb.NewTestServiceClient(c).EmptyCall(t.Context(), &pb.Empty{}); grpcstatus.Code(err) != codes.Unimplemented { // as gRPC reads 404
		t.Errorf("no such function: got %v", err)
	}
	w.route(ping, func(s *platform.TrafficShare) { s.Protocol, s.Timeout = platform.H2C, platform.Seconds(0.2) })
	if _, err := dialGRPC(t, w).EmptyCall(t.Context(), &pb.Empty{}); grpcstatus.Code(err) != codes.Unavailable { // as gRPC reads 503 and 504
		t.Errorf("no instance: got %v", err)
	}
}

// A server whose call is late may reset its stream. Its client is told what it would have been told by the server itself.
func TestGRPCResets(t *testing.T) {
	w := newRawH2C(t, &rawH2C{answer: func(c *rawH2CConn, _ int, head *http2.MetaHeadersFrame) { c.reset(head.StreamID, http2.ErrCodeCancel) }})
	client := &http.Client{Transport: http2Transport(t)}
	for _, try := range []struct {
		contentType, timeout string
		status               int
		want                 string
	}{
		{"application/grpc", "1n", http.StatusOK, "4"},
		{"application/grpc+proto", "1H", http.StatusOK, "1"},
		{"application/grpc;x", "", http.StatusOK, "1"},
		{"application/grpc-web", "1n", http.StatusBadGateway, ""},
	} {
		for _, client := range []*http.Client{client, w.client} {
			req := w.request("POST", "ping", "/", "")
			req.Header = http.Header{"Content-Type": {try.contentType}, "Grpc-Timeout": {try.timeout}}
			got := send(client, req)
			message := got.header.Get("Grpc-Message") + got.body
			if got.err != nil || got.status != try.status || got.header.Get("Grpc-Status") != try.want || !strings.HasPrefix(message, "the instance broke off") {
				t.Errorf("%s, %s: got %+v", try.contentType, try.timeout, got)
			}
		}
	}
	w.eventually("all are counted as errors of the app", func() bool { return w.metric(platform.MetricRequests, "code=502") == 8 })
}

// Many calls at once, as many as two connections of clients may have, while the app is still asleep at first.
func TestGRPCColdAndMany(t *testing.T) {
	w := newWorld(t)
	w.route(ping, func(s *platform.TrafficShare) { s.Protocol = platform.H2C })
	a := w.arm(ping, 1)
	clients := []pb.TestServiceClient{dialGRPC(t, w), dialGRPC(t, w)}
	errs := make(chan error, 200)
	for i := range cap(errs) {
		go func() {
			_, err := clients[i%2].EmptyCall(t.Context(), &pb.Empty{})
			errs <- err
		}()
	}
	w.eventually("they are held", func() bool { return w.metric(platform.MetricQueued) == float64(cap(errs)) })
	server := grpc.NewServer()
	pb.RegisterTestServiceServer(server, emptyApp{})
	go server.Serve(a.Listener)
	t.Cleanup(server.Stop)
	for range cap(errs) {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
}

type emptyApp struct {
	pb.UnimplementedTestServiceServer
}

func (emptyApp) EmptyCall(context.Context, *pb.Empty) (*pb.Empty, error) { return &pb.Empty{}, nil }
