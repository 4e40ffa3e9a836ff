bicStar(*A, *B) = (*A*B)  # finds R001
