// A carry-propagate adder as a chain of full adders: the smallest adder where time allows it.
(* techmap_celltype = "$alu" *)
module _80_siliquant_adder_chain (A, B, CI, BI, X, Y, CO);
  parameter A_SIGNED = 0;
  parameter B_SIGNED = 0;
  parameter A_WIDTH = 1;
  parameter B_WIDTH = 1;
  parameter Y_WIDTH = 1;
  (* force_downto *)
  input [A_WIDTH-1:0] A;
  (* force_downto *)
  input [B_WIDTH-1:0] B;
  input CI, BI;
  (* force_downto *)
  output [Y_WIDTH-1:0] X, Y, CO;
  (* force_downto *)
  wire [Y_WIDTH-1:0] left, right_plain;
  (* force_downto *)
  wire [Y_WIDTH-1:0] right = BI ? ~right_plain : right_plain;
  (* force_downto *)
  wire [Y_WIDTH:0] carry;
  \$pos #(.A_SIGNED(A_SIGNED), .A_WIDTH(A_WIDTH), .Y_WIDTH(Y_WIDTH)) extend_left (.A(A), .Y(left));
  \$pos #(.A_SIGNED(B_SIGNED), .A_WIDTH(B_WIDTH), .Y_WIDTH(Y_WIDTH)) extend_right (.A(B), .Y(right_plain));
  assign carry[0] = CI;
  assign X = left ^ right;
  assign CO = carry[Y_WIDTH:1];
  genvar i;
  generate
    for (i = 0; i < Y_WIDTH; i = i + 1) begin : bits
      siliquant_full_adder adder (.a(left[i]), .b(right[i]), .c(carry[i]), .sum(Y[i]), .carry(carry[i + 1]));
    end
  endgenerate
endmodule
