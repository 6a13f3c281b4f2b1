// Carries one after the other, in plain logic.
(* techmap_celltype = "$lcu" *)
module _80_siliquant_ripple (P, G, CI, CO);
  parameter WIDTH = 1;
  (* force_downto *)
  input [WIDTH-1:0] P, G;
  input CI;
  (* force_downto *)
  output [WIDTH-1:0] CO;
  (* force_downto *)
  wire [WIDTH:0] carry;
  assign carry[0] = CI;
  assign CO = carry[WIDTH:1];
  genvar i;
  generate
    for (i = 0; i < WIDTH; i = i + 1) begin : bits
      assign carry[i + 1] = G[i] | (P[i] & carry[i]);
    end
  endgenerate
endmodule
