mod broken;
mod own;
